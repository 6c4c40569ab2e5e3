"""Finds and runs the templates: the shipped ones, and over them, file by file, those of RELINK_TEMPLATES_DIR."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import css_inline
import jinja2

from activities.rendering_safety import Clean, for_document, for_slack, for_text, one_line
from activities.settings import ROOT
from activities.views import Mail

SHIPPED = ROOT / "templates"
SUBJECT_LIMIT = 200
T = TypeVar("T")
_log = logging.getLogger(__name__)


class TemplatesError(Exception):
    """A template of RELINK_TEMPLATES_DIR can't be used; the message names the file, the line and what is wrong."""


class Templates:
    """Runs templates. One of the company's own that fails at run time is reported, and the shipped one used instead:
    a message in our words is better than none.

    Raises TemplatesError at construction if one of the company's own isn't valid.
    """

    def __init__(self, own: Path | None = None) -> None:
        self._shipped = _Environments([SHIPPED])
        self._own = _Environments([own, SHIPPED]) if own else None
        if own:
            _check(own, self._own)

    def slack(self, name: str, facts: Mapping[str, object]) -> str:
        return self._run(lambda kinds: kinds.slack.get_template(f"slack/{name}.mrkdwn").render(facts))

    def document(self, name: str, facts: Mapping[str, object]) -> str:
        """A Slack template with its values as plain text, for a mail with the same content."""
        return self._run(lambda kinds: kinds.document.get_template(f"slack/{name}.mrkdwn").render(facts))

    def mail(self, name: str, locale: str | None, facts: Mapping[str, object]) -> Mail:
        """A mail's text and HTML, both in the best language there is: "de-AT", then "de", then the shipped English."""
        return self._run(lambda kinds: kinds.mail(name, locale, facts))

    def page(self, name: str, facts: Mapping[str, object]) -> str:
        return self._run(lambda kinds: kinds.html.get_template(f"pages/{name}").render(facts))

    def source(self, name: str) -> str:
        """A file as it is, such as the style sheet."""
        return self._run(lambda kinds: kinds.source(name))

    def _run(self, render: Callable[[_Environments], T]) -> T:
        if self._own is None:
            return render(self._shipped)
        try:
            return render(self._own)
        except Exception as error:  # noqa: BLE001  (somebody else's template may raise anything)
            _log.error("a template of RELINK_TEMPLATES_DIR failed, using the shipped one: %s", _described(error))
            return render(self._shipped)


class _Environments:
    """The same files read for three purposes; they differ in what becomes of a printed value."""

    def __init__(self, folders: list[Path]) -> None:
        self.slack = _environment(folders, for_slack)
        self.document = _environment(folders, for_document)
        self.text = _environment(folders, for_text)
        self.html = _environment(folders, for_text, escape=True)
        for environment in (self.text, self.html):
            environment.filters["without_emoji"] = without_emoji
        self._inliner = css_inline.CSSInliner(load_remote_stylesheets=False)

    def mail(self, name: str, locale: str | None, facts: Mapping[str, object]) -> Mail:
        for language in languages(locale):
            suffix = f".{language}" if language else ""
            try:
                text = self.text.get_template(f"email/{name}{suffix}.txt")
                html = self.html.get_template(f"email/{name}{suffix}.html")
            except jinja2.TemplateNotFound:
                continue
            subject, body = split_subject(text.render(facts))
            framed = html.render({**facts, "subject": subject, "lang": language or "en"})
            # Many mail programs drop style sheets: what can be a style attribute becomes one.
            return Mail(subject=subject, text=body, html=str(self._inliner.inline(framed)))
        raise jinja2.TemplateNotFound(f"email/{name}.txt and .html")

    def source(self, name: str) -> str:
        loader = self.html.loader
        assert loader is not None
        return loader.get_source(self.html, name)[0]


def _environment(
    folders: list[Path], finalize: Callable[[object], object], *, escape: bool = False
) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(folder) for folder in folders]),
        autoescape=escape,  # noqa: S701  (Slack and plain text have rules of their own, applied by `finalize`)
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # a half-saved file must not reach anybody
    )


def _check(own: Path, kinds: _Environments | None) -> None:
    if not own.is_dir():
        raise TemplatesError(f"RELINK_TEMPLATES_DIR: {own} is not a folder")
    wrong = [problem for path in sorted(own.rglob("*")) if path.is_file() for problem in _problems(own, path, kinds)]
    if wrong:
        raise TemplatesError("\n".join(wrong))


def _problems(own: Path, path: Path, kinds: _Environments | None) -> Iterator[str]:
    name = path.relative_to(own).as_posix()
    if kinds is None or path.suffix not in {".html", ".txt", ".mrkdwn"}:
        return
    twin = path.with_suffix({".txt": ".html", ".html": ".txt"}.get(path.suffix, path.suffix))
    if path.parent.name == "email" and "." in path.stem and not twin.exists():
        yield f"RELINK_TEMPLATES_DIR: {name}: a mail in another language needs {twin.name} beside it"
    try:
        kinds.html.get_template(name)
    except (jinja2.TemplateError, UnicodeDecodeError) as error:
        yield f"RELINK_TEMPLATES_DIR: {name}: {_described(error)}"


def _described(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"line {error.lineno}: {error.message}"
    if isinstance(error, jinja2.TemplateError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__  # its words may quote a value, and logs carry no personal data


def languages(locale: str | None) -> list[str]:
    """Languages to try, best first, the default as "": "de-AT" is ["de-at", "de", ""]."""
    tags = one_line(locale or "", 35).casefold().replace("_", "-").split("-")
    plain = [tag for tag in tags if tag.isalnum() and tag.isascii()]
    return ["-".join(plain[:count]) for count in range(len(plain), 0, -1)] + [""]


def split_subject(rendered: str) -> tuple[str, str]:
    """A rendered text mail as its subject (first line, "Subject: …") and its body."""
    first, _, body = rendered.strip().partition("\n")
    return one_line(first.removeprefix("Subject:"), SUBJECT_LIMIT), body.strip() + "\n"


def without_emoji(text: str) -> str:
    """A line of a Slack template without its emoji codes, for a mail."""
    return Clean(re.sub(r"^:[a-z_]+: ", "", text))
