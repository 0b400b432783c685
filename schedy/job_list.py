"""Lists of jobs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schedy.jobs import Job


class JobList(list["Job"]):
    """A list of jobs, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from schedy.results.html import jobs_html  # noqa: PLC0415 - for notebooks alone

        return jobs_html([(job._record, job.results) for job in self])
