"""Word files to Markdown."""

import io
import zipfile
from xml.etree import ElementTree

from retrieval.errors import IngestError, IsLocked
from retrieval.ingest.html import html_to_markdown

MAX_UNPACKED_BYTES = 500 * 1024 * 1024


def docx_to_markdown(raw: bytes) -> tuple[str | None, str]:
    """Title, if there is one, and Markdown by way of HTML."""
    import mammoth

    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise IsLocked(
            "is protected with a password or an old .doc; save it as .docx without a password"
        )
    try:
        content = io.BytesIO(_without_hidden_runs(raw))
        images = mammoth.images.img_element(lambda image: {})
        html = mammoth.convert_to_html(content, convert_image=images).value
    except (zipfile.BadZipFile, KeyError, ValueError, ElementTree.ParseError, OSError) as error:
        raise IngestError(
            "is damaged or no Word document; open it in Word and save it again"
        ) from error
    return html_to_markdown(str(html))


def _without_hidden_runs(raw: bytes) -> bytes:
    """Word marks hidden text run by run; mammoth would read it aloud."""
    word = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as source, zipfile.ZipFile(out, "w") as target:
        if sum(entry.file_size for entry in source.infolist()) > MAX_UNPACKED_BYTES:
            raise IngestError("unpacks to far too much; remove large pictures")
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "word/document.xml" and b"vanish" in content:
                root = ElementTree.fromstring(content)
                for run in root.iter(f"{word}r"):
                    mark = run.find(f"{word}rPr/{word}vanish")
                    if mark is not None and mark.get(f"{word}val") not in ("0", "false"):
                        run.clear()
                content = ElementTree.tostring(root)
            target.writestr(entry, content)
    return out.getvalue()
