"""Write the settings reference into the README."""

from __future__ import annotations

from pathlib import Path

from trempy_provider.config.reference import settings_reference_markdown

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- settings reference: begin -->", "<!-- settings reference: end -->"


def main() -> None:
    """Replace what stands between the markers."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    reference = settings_reference_markdown().strip()
    README.write_text(f"{before}{BEGIN}\n\n{reference}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
