"""Trains a small network on handwritten digits. It knows nothing of Schedy."""

import argparse
import warnings

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--hidden", type=int, default=32)
parser.add_argument("--epochs", type=int, default=10)
args = parser.parse_args()

warnings.filterwarnings("ignore", message="overflow|invalid value|divide by zero")
digits = load_digits()
train, test, train_labels, test_labels = train_test_split(digits.data / 16, digits.target, random_state=0)
network = MLPClassifier(args.hidden, solver="sgd", learning_rate_init=args.lr, batch_size=args.batch_size)
for epoch in range(1, args.epochs + 1):
    network.partial_fit(train, train_labels, classes=range(10))
    print(f"epoch {epoch} loss {network.loss_:.4f} val_acc {network.score(test, test_labels):.4f}")
