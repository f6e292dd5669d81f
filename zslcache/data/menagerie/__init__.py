"""Menagerie, the dataset that the package draws itself: cartoon animals in scenes, from a seed."""

from zslcache.data.menagerie.invented import invented_classes
from zslcache.data.menagerie.painting import Painting, paint
from zslcache.data.menagerie.prepare import draw, prepare_menagerie
from zslcache.data.menagerie.species import Species, real_species

__all__ = ["Painting", "Species", "draw", "invented_classes", "paint", "prepare_menagerie", "real_species"]
