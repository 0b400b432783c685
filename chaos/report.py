"""The table at the end."""

from chaos.run import Plan, Result

_SHOWN = 40


def summary(plan: Plan, result: Result, *, seconds: float) -> str:
    lines = [
        "",
        f"RabbitMQ {result.version} ({plan.broker}), {plan.store}, seed {plan.seed}, {seconds:.0f} s "
        f"({', '.join(f'{phase} {took:.0f}' for phase, took in result.took_seconds.items())})",
        "",
        f"FAULTS {result.faults.total()}",
        *(f"  {kind:<28}{count:>6}" for kind, count in sorted(result.faults.items())),
        f"JOBS {result.statuses.total()}",
        *(f"  {status:<28}{count:>6}" for status, count in sorted(result.statuses.items())),
        f"  {'attempts that count':<28}{result.attempts:>6}",
        f"  {'leases that ran out':<28}{result.losses:>6}",
        f"{len(result.violations)} violations (seed {plan.seed})",
        *(f"  {violation.kind}: {violation.text}" for violation in result.violations[:_SHOWN]),
    ]
    if len(result.violations) > _SHOWN:
        lines.append(f"  and {len(result.violations) - _SHOWN} more")
    return "\n".join(lines)
