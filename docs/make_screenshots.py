"""Walks through docs/nightly.md as its reader would, then photographs MLflow's pages on what came of it.

    pip install selenium pillow                 # and Debian's chromium and chromium-driver
    python docs/make_screenshots.py             # the whole walk: ten minutes
    python docs/make_screenshots.py --folder F  # photographs alone, of a walk kept in F

The spec and the commands are read off the page: what it tells a newcomer is what is run here, in an empty
folder. The images are saved in docs/images as small palette files.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

DOCS = Path(__file__).parent
PAGE = DOCS / "nightly.md"
BLOCK = re.compile(r"^```(yaml|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_WALKED = (
    "pip install",
    "tsrnn ui",
    "tsrnn pipeline serve",
)  # need a network, or go on for ever
NAME = "nightly"
WIDTH = 1440
PATIENCE, SETTLED = 90, 8  # seconds until a page must have loaded, and until its charts are drawn
CLOSE_ASSISTANT = "document.elementFromPoint(1404, 36)?.closest('button')?.click()"
DIFFERENCES_ALONE = (
    "//*[normalize-space(text())='Show diff only']/preceding::button[@role='switch'][1]"
)
BROWSER = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="of a walk that was kept; walked when empty")
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="nightly-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        TSRNN_HOME=str(folder), PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    if not (folder / "runs").exists():
        walk(folder)
    with server(folder) as address, browser() as driver:
        for page in pages(folder):
            photograph(driver, f"{address}/#{page.path}", page)


def walk(folder: Path) -> None:
    """Write the page's spec and run its commands, in order; any that fails ends the walk."""
    for language, text in BLOCK.findall(PAGE.read_text()):
        if language == "yaml":
            (folder / f"{NAME}.yaml").write_text(text)
            continue
        for command in text.strip().splitlines():
            if command.startswith(NOT_WALKED):
                continue
            print(f"$ {command}", flush=True)
            subprocess.run(command, shell=True, cwd=folder, check=True)


@dataclass(frozen=True)
class Page:
    """A page of MLflow's.

    Parameters
    ----------
    name : str
        Of the image.
    path : str
    wait_for : str
        A text that stands on it when it has loaded.
    height : int
        Of the window.
    search : str
        Typed into the search box of charts.
    switch : str
        The XPath of what is clicked.
    """

    name: str
    path: str
    wait_for: str
    height: int
    search: str = ""
    switch: str = ""


def pages(folder: Path) -> list[Page]:
    """Return the pages that show what the walk has left."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name(NAME).experiment_id
    found = client.search_runs([experiment], filter_string=f"tags.`tsrnn.pipeline` = '{NAME}'")
    some = json.dumps([run.info.run_id for run in found[:4]], separators=(",", ":"))
    charts = f"/experiments/{experiment}/runs?workflowType=machine_learning&compareRunsMode=CHART"
    compared = f'/compare-runs?runs={some}&experiments=["{experiment}"]'
    return [
        Page("mlflow-charts", charts, "Search metric charts", 900, "model/(mase|crps|coverage)"),
        Page("mlflow-compare", compared, "backtest/model/mase", 1700, switch=DIFFERENCES_ALONE),
        Page("mlflow-registry", f"/models/{NAME}", "champion", 700),
    ]


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Serve the walk's store as ``tsrnn ui`` does, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tsrnn.cli", "ui", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urlopen(f"{address}/health", timeout=2)
                break
            except (URLError, OSError):
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Start Chromium without a screen, with a profile that is thrown away."""
    options, profile = Options(), tempfile.mkdtemp(prefix="chromium-")
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in (*BROWSER, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


def photograph(driver: webdriver.Chrome, address: str, page: Page) -> None:
    """Save a page once it has loaded and what it draws has settled."""
    driver.set_window_size(WIDTH, page.height)
    driver.get("about:blank")
    driver.get(address)
    for _ in range(PATIENCE):
        if page.wait_for in driver.page_source:
            break
        time.sleep(1)
    else:
        raise SystemExit(f"{address} does not show {page.wait_for!r}.")
    time.sleep(SETTLED)
    driver.execute_script(CLOSE_ASSISTANT)
    if page.switch:
        driver.execute_script("arguments[0].click()", driver.find_element(By.XPATH, page.switch))
    if page.search:
        box = driver.find_element(By.CSS_SELECTOR, "input[placeholder='Search metric charts']")
        box.send_keys(page.search)
    time.sleep(SETTLED)
    image = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    target = DOCS / "images" / f"{page.name}.png"
    image.quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
