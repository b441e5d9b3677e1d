"""Reads pages as tests look at them."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "wbr"}


class Page(HTMLParser):
    """A page's text by section, its tables, images and references; tags must be balanced."""

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.tables, self.images, self.references = [], {}, [], [], []
        self.section = ""
        self.tags = set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes and tag in ("section", "header"):
            self.section = attributes["id"]
        if tag == "img":
            self.images.append((self.section, "details" in self.open, attributes))
        self.references += [attributes[key] for key in ("src", "href") if key in attributes]
        if tag == "table":
            self.tables.append((self.section, []))
        if tag == "tr":
            self.tables[-1][1].append([])
        if tag in ("td", "th"):
            self.tables[-1][1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][1][-1][-1] += data.strip()
        if "style" not in self.open:
            self.text[self.section] = f"{self.text.get(self.section, '')} {data.strip()}"

    def rows(self, section):
        return [rows for name, rows in self.tables if name == section]


def read(path):
    return Page(path.read_text(encoding="utf-8"))
