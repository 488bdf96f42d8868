"""Converts a web page to Markdown. It runs in a separate process, as the HTML may be hostile."""

import json
import sys

_HEAD = 20_000  # characters that are searched for the title


def main() -> None:
    """Read `html` and `url` from standard input as JSON, and write the page as Markdown."""
    from html_to_markdown import ConversionOptions, convert

    request = json.load(sys.stdin)
    html, url = request["html"].replace("\0", ""), request["url"]
    options = ConversionOptions(skip_images=True, extract_metadata=False, base_url=url)
    text = (convert(html, options).content or "").strip()
    title = convert(html[:_HEAD]).metadata.document.title
    page = f"# {title.strip()}\n\n{text}" if title else text
    sys.stdout.buffer.write(page.encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
