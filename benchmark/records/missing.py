"""What every command says where a profile has no runs: how to make them, and which profiles have some."""

from __future__ import annotations

from pathlib import Path

from envs.errors import UserError


class NoRunsError(UserError):
    """There is no complete run of what a command is about.

    Args:
        what: That, in words; else it is the profile itself.
        profile: Name of the profile.
        results: Folder of all results.
        method: Other profiles are named if they have runs of this method; of any where it is left out.
    """

    def __init__(self, profile: str, results: Path, what: str = "", method: str = "*") -> None:
        what = what or f"profile '{profile}' in {results / profile}"
        others = or_choose(profile, results, method)
        super().__init__(f"no complete run of {what}: make runs with `acrl sweep -p {profile}`{others}")


def check_runs(profile: str, results: Path) -> None:
    """Refuse to make anything from no runs, which would replace what was made from some.

    Raises:
        NoRunsError: If the profile has none, whether complete or not.
    """
    if profile not in profiles_with_runs(results):
        raise NoRunsError(profile, results)


def profiles_with_runs(results: Path, method: str = "*") -> list[str]:
    """Profiles that have a run, complete or not, of a method or of any."""
    found = results.glob(f"*/runs/*/{method}/seed-*.json")
    return sorted({path.relative_to(results).parts[0] for path in found})


def or_choose(profile: str, results: Path, method: str = "*") -> str:
    """The end of an error that names the other profiles that have runs; empty if there are none."""
    others = [f"-p {other}" for other in profiles_with_runs(results, method) if other != profile]
    return f", or choose a profile that has some: {', '.join(others)}" if others else ""
