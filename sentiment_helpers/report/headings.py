"""A papermill engine, `Headings`, that prints a notebook's headings when it reaches them.

`papermill --engine headings --stdout-file /dev/stdout` shows also what the cells print.
"""


def __getattr__(name: str) -> type:
    """`Headings`, made when it is asked for: papermill imports this module while it is imported."""
    if name != "Headings":
        raise AttributeError(name)
    from papermill.engines import NBClientEngine

    class Headings(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, manager, *arguments, **options) -> None:
            start = manager.cell_start

            def cell_start(cell, *position, **more) -> None:
                if cell.cell_type == "markdown":
                    for line in cell.source.splitlines():
                        if line.startswith("#"):
                            print(f"\n{line}", flush=True)
                start(cell, *position, **more)

            manager.cell_start = cell_start
            # Without the kernel's warning that it talks to this process over TCP.
            quiet = {"extra_arguments": ["--log-level=ERROR"]}
            super().execute_managed_notebook(manager, *arguments, **options | quiet)

    return Headings
