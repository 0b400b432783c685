"""Knows nothing of Schedy."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--y", type=float)
args = parser.parse_args()
print("result", args.x**2 + args.y**2)
