"""The page where customers answer a survey: a POST answers, and what merely looks never does."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.survey import FEELINGS, SCORES
from tellfirst.signing.links import SURVEY
from tellfirst.store.preferences import Told
from tellfirst.store.survey_answers import Question, SurveyAnswers
from tellfirst.web.bodies import FORM, read_body, read_form
from tellfirst.web.opened import Doors

SOURCE = "link"


def survey_page(answers: SurveyAnswers, doors: Doors) -> APIRouter:
    """Returns the page that the link of a survey opens; only those who were told are asked how that was."""
    router = APIRouter()

    @router.api_route(SURVEY + "{token}", methods=["GET", "HEAD"], include_in_schema=False)
    async def look(token: str, request: Request) -> HTMLResponse:
        told = await doors.open(token, request)
        return told if isinstance(told, HTMLResponse) else await run_in_threadpool(show, told, request)

    @router.post(SURVEY + "{token}", include_in_schema=False)
    async def answer(token: str, request: Request) -> HTMLResponse:
        form = read_form(await read_body(request, FORM))
        told = await doors.open(token, request)
        return told if isinstance(told, HTMLResponse) else await run_in_threadpool(take, told, form, request)

    def take(told: Told, form: Mapping[str, str], request: Request) -> HTMLResponse:
        asked = answers.question(told.send)
        if asked is None:
            return doors.gone("forgotten", request, told)
        score = next((one for one in SCORES if form.get("score") == str(one)), None)
        felt = next((one for one in FEELINGS if asked.told and form.get("felt") == one), None)
        if form.get("answer") != "1" or (score is None and felt is None):
            return page(told, asked, said="wrong")
        answers.answer(asked.survey, score=score, felt=felt, by=SOURCE, at=doors.clock())
        kept = {"score": score or asked.score, "felt": felt or asked.felt}
        return page(told, asked.model_copy(update=kept), said="saved")

    def show(told: Told, request: Request) -> HTMLResponse:
        asked = answers.question(told.send)
        return doors.gone("forgotten", request, told) if asked is None else page(told, asked)

    def page(told: Told, asked: Question, *, said: str = "") -> HTMLResponse:
        locale = doors.pages.locale(*told.locales)
        text = doors.pages.texts[locale].survey
        return doors.pages.show(
            "survey",
            locale,
            title=text["title"],
            status=422 if said == "wrong" else 200,
            said=said,
            told=asked.told,
            question=text[asked.kind],
            scores=[
                {"value": str(one), "name": text[f"{asked.kind}_{one}"], "chosen": one == asked.score} for one in SCORES
            ],
            feelings=[{"value": one, "name": text[one], "chosen": one == asked.felt} for one in FEELINGS],
        )

    return router
