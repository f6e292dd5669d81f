"""The public benchmarks: what their official downloads hold, where to get them and how their images are numbered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from zslcache.data import benchmark_facts as facts
from zslcache.data.xlsa17 import read_texts
from zslcache.errors import unknown_name


@dataclass(frozen=True)
class Archive:
    """One file to download; an md5 stands here only where a public source states it."""

    url: str
    md5: str | None = None

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def stem(self) -> str:
        return self.name.split(".")[0]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. Without `class_of`, only res101.mat tells the labels and the order of its images."""

    name: str
    title: str
    images: int
    classes: int
    attributes: int
    val_classes: int  # how many classes the official validation part has
    splits: str  # the folder of its .mat files
    archives: tuple[Archive, ...]  # of the images and what belongs to them
    split_archive: Archive
    folder: tuple[str, ...] = ()  # the image folder of the official download as it unpacks; empty: cannot be prepared
    probe: str = ""  # a file or folder that is in the image folder and hardly anywhere else
    class_of: Callable[[str], str] | None = None  # the class folder, as the split file writes it, of an image's name
    listed: Callable[[Path], tuple[str, ...] | None] = lambda folder: None  # which names the image folder should hold
    names_sha256: str | None = None  # over the sorted image names, each with a newline
    attribute_names: Callable[[Path], tuple[str, ...] | None] = lambda folder: None
    attribute_groups: tuple[str, ...] = ()


XLSA17 = Archive("http://datasets.d2.mpi-inf.mpg.de/xian/xlsa17.zip")


def find_benchmark(name: str) -> Benchmark:
    """The benchmark called `name`."""
    if name not in BENCHMARKS:
        raise unknown_name("benchmark", name, BENCHMARKS, "Your own images: zslcache prepare NAME --images DIR ...")
    return BENCHMARKS[name]


def _first_folder(name: str) -> str:
    return name.split("/")[0]


def _scene(name: str) -> str:
    """a/apse/indoor/sun_x.jpg -> apse_indoor: the letter is only a shelf, the folders below it make the name."""
    return "_".join(name.split("/")[1:-1])


def _awa2_images(folder: Path) -> tuple[str, ...]:
    words = facts.AWA2_IMAGES.split()
    counts = zip(words[::2], map(int, words[1::2]), strict=True)
    return tuple(f"{c}/{c}_{number}.jpg" for c, images in counts for number in range(10001, 10001 + images))


def _flower_images(folder: Path) -> tuple[str, ...]:
    return tuple(f"image_{number:05}.jpg" for number in range(1, 8190))


def _cub_images(folder: Path) -> tuple[str, ...] | None:
    return _numbered_lines(folder.parent / "images.txt")


def _sun_images(folder: Path) -> tuple[str, ...] | None:
    return _sun_texts(folder, "images")


def _awa2_attributes(folder: Path) -> tuple[str, ...]:
    return _numbered_lines(folder.parent / "predicates.txt") or tuple(facts.AWA2_ATTRIBUTES.split())


def _cub_attributes(folder: Path) -> tuple[str, ...] | None:
    # The archive has the file beside CUB_200_2011; copies of the data often have it inside.
    places = (folder.parent.parent, folder.parent, folder.parent / "attributes")
    return next((lines for place in places if (lines := _numbered_lines(place / "attributes.txt"))), None)


def _sun_attributes(folder: Path) -> tuple[str, ...] | None:
    return _sun_texts(folder, "attributes")


def _sun_texts(folder: Path, name: str) -> tuple[str, ...] | None:
    """A list of SUNAttributeDB.tar.gz, unpacked beside the images or beside the folder their archive became."""
    bases = (
        folder.parent,
        folder.parent / "SUNAttributeDB",
        folder.parent.parent / "SUNAttributeDB" / "SUNAttributeDB",
    )
    return next((read_texts(path, name) for base in bases if (path := base / f"{name}.mat").is_file()), None)


def _numbered_lines(path: Path) -> tuple[str, ...] | None:
    """What follows the number on each line."""
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple(line.split(maxsplit=1)[1].strip() for line in lines if len(line.split(maxsplit=1)) == 2)


def _runs(runs: tuple[tuple[int, str], ...], total: int) -> tuple[str, ...]:
    ends = (*(first for first, _ in runs), total)
    return tuple(group for (_, group), (a, b) in zip(runs, pairwise(ends), strict=True) for _ in range(b - a))


def _cub_groups() -> tuple[str, ...]:
    words = facts.CUB_GROUP_SIZES.split()
    return tuple(group for group, size in zip(words[::2], words[1::2], strict=True) for _ in range(int(size)))


BENCHMARKS: dict[str, Benchmark] = {
    "awa2": Benchmark(
        name="awa2",
        title="Animals with Attributes 2",
        images=37322,
        classes=50,
        attributes=85,
        val_classes=13,
        splits="AWA2",
        archives=(Archive("https://cvml.ista.ac.at/AwA2/AwA2-data.zip", "eaa27cf799d5cf55af372356d7281b5e"),),
        split_archive=XLSA17,
        folder=("Animals_with_Attributes2", "JPEGImages"),
        probe="antelope",
        class_of=_first_folder,
        listed=_awa2_images,
        names_sha256="e3370053be96ab7f46b50f32326d72356d01acfcbf9a30e6a36a1d211c07d83d",
        attribute_names=_awa2_attributes,
        attribute_groups=_runs(facts.AWA2_RUNS, 85),
    ),
    "cub": Benchmark(
        name="cub",
        title="Caltech-UCSD Birds 200-2011",
        images=11788,
        classes=200,
        attributes=312,
        val_classes=50,
        splits="CUB",
        archives=(
            Archive(
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                "97eceeb196236b17998738112f37df78",
            ),
        ),
        split_archive=XLSA17,
        folder=("CUB_200_2011", "images"),
        probe="001.Black_footed_Albatross",
        class_of=_first_folder,
        listed=_cub_images,
        names_sha256="98bf016cea68676922954fb7335a97e04a01e3b42a01be0b0217893652cf8549",
        attribute_names=_cub_attributes,
        attribute_groups=_cub_groups(),
    ),
    "sun": Benchmark(
        name="sun",
        title="SUN Attribute Database",
        images=14340,
        classes=717,
        attributes=102,
        val_classes=65,
        splits="SUN",
        archives=(
            Archive(
                "https://cs.brown.edu/~gmpatter/Attributes/SUNAttributeDB_Images.tar.gz",
                "5966725c7306df6e05cd3ada7f45a18b",
            ),
            Archive(
                "https://cs.brown.edu/~gmpatter/Attributes/SUNAttributeDB.tar.gz", "883293e5b645822f6ae0046c6df54183"
            ),
        ),
        split_archive=XLSA17,
        folder=("images",),
        probe="a/abbey",
        class_of=_scene,
        listed=_sun_images,
        names_sha256="92b926098a1cb520728d523598822b96ddc2c4ebbde45c4a1bb8eddd4011653b",
        attribute_names=_sun_attributes,
        attribute_groups=_runs(facts.SUN_RUNS, 102),
    ),
    "flo": Benchmark(
        name="flo",
        title="Oxford Flowers 102",
        images=8189,
        classes=102,
        attributes=1024,
        val_classes=20,
        splits="FLO",
        archives=(
            Archive(
                "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"
            ),
        ),
        split_archive=Archive("http://datasets.d2.mpi-inf.mpg.de/xian/cvpr18xian.zip"),
        folder=("jpg",),
        probe="image_00001.jpg",
        listed=_flower_images,
    ),
    # Its 15,339 images are boxes cut out of Pascal VOC 2008 and Yahoo photographs by lists that name them in no order
    # known to be that of the split, so only the published features are supported.
    "apy": Benchmark(
        name="apy",
        title="aPascal and aYahoo",
        images=15339,
        classes=32,
        attributes=64,
        val_classes=5,
        splits="APY",
        archives=(),
        split_archive=XLSA17,
    ),
}
