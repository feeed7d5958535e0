"""A papermill engine that prints a notebook's headings when it reaches them.

`papermill --engine headings --stdout-file /dev/stdout` shows also what the cells print.
"""

from papermill.engines import NBClientEngine, NotebookExecutionManager


class Headings(NBClientEngine):
    """Executes a notebook as papermill does."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, *arguments, **options
    ) -> None:
        """Print each heading when its cell is reached."""
        start = nb_man.cell_start

        def cell_start(cell, *position, **more) -> None:
            if cell.cell_type == "markdown":
                for line in cell.source.splitlines():
                    if line.startswith("#"):
                        print(f"\n{line}", flush=True)
            start(cell, *position, **more)

        nb_man.cell_start = cell_start
        # Without the kernel's warning that it talks to this process over TCP.
        quiet = {"extra_arguments": ["--log-level=ERROR"]}
        super().execute_managed_notebook(nb_man, *arguments, **options | quiet)
