"""PDF and Word files to Markdown."""

import io
import re
import zipfile
from xml.etree import ElementTree

from retrieval.errors import IngestError
from retrieval.ingest.clean import visible
from retrieval.ingest.html import html_to_markdown

MAX_UNPACKED_BYTES = 500 * 1024 * 1024


def pdf_to_markdown(raw: bytes) -> tuple[str | None, str]:
    """Title, if the file has one, and text; a PDF knows lines and pages, but no headings."""
    # Haystack takes seconds to import, which a sync without PDF files need not spend.
    from haystack.components.converters import PyPDFToDocument
    from haystack.dataclasses import ByteStream
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(raw))
        if reader.is_encrypted:
            raise IngestError("is protected with a password; save a copy without one")
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except (PyPdfError, ValueError, OSError) as error:
        raise IngestError("is damaged or no PDF; print it to a new PDF") from error
    # The component logs what it cannot read and leaves it out, so an empty list is its error.
    documents = PyPDFToDocument().run(sources=[ByteStream(data=raw)])["documents"]
    if not documents:
        raise IngestError("is damaged or no PDF; print it to a new PDF")
    pages = (documents[0].content or "").split("\f")
    return title.strip() or None, "\n\n".join(unwrapped(visible(page)) for page in pages)


def docx_to_markdown(raw: bytes) -> tuple[str | None, str]:
    """Title, if there is one, and Markdown by way of HTML."""
    import mammoth

    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise IngestError(
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


def unwrapped(page: str) -> str:
    """Lines that end near the right edge go on in the next one; the page's own line breaks mean nothing."""
    lines = [line.strip() for line in page.splitlines()]
    widest = max(map(len, lines), default=0)
    text = ""
    for before, line in zip(["", *lines], lines, strict=False):
        goes_on = line and len(before) > 0.7 * widest and not re.search(r"[.。！？!?:：]$", before)
        if goes_on and not re.match(r"(?:[-•*]|\d+[.)])\s", line):
            if re.search(r"[a-z]-$", text) and line[0].islower():
                text = text[:-1] + line
            else:
                is_wide = ord(text[-1]) > 0x2E80 and ord(line[0]) > 0x2E80
                text += ("" if is_wide else " ") + line
        else:
            text += "\n" + line
    return text.strip()
