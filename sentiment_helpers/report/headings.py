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
        def execute_managed_notebook(cls, *arguments, **options) -> None:
            # Without the kernel's warning that it talks to this process over TCP.
            options |= {"on_cell_start": _print_headings, "extra_arguments": ["--log-level=ERROR"]}
            super().execute_managed_notebook(*arguments, **options)

    return Headings


def _print_headings(cell, cell_index: int) -> None:
    for line in cell.source.splitlines():
        if cell.cell_type == "markdown" and line.startswith("#"):
            print(f"\n{line}", flush=True)
