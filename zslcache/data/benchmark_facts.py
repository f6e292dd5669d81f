"""Facts about the public benchmarks that their downloads do not always bring along."""

from __future__ import annotations

# The 85 attributes of Animals with Attributes, in the order of predicates.txt.
AWA2_ATTRIBUTES = """
    black white blue brown gray orange red yellow patches spots stripes furry hairless toughskin big small
    bulbous lean flippers hands hooves pads paws longleg longneck tail chewteeth meatteeth buckteeth strainteeth
    horns claws tusks smelly flys hops swims tunnels walks fast slow strong weak muscle bipedal quadrapedal
    active inactive nocturnal hibernate agility fish meat plankton vegetation insects forager grazer hunter
    scavenger skimmer stalker newworld oldworld arctic coastal desert bush plains forest fields jungle mountains
    ocean ground water tree cave fierce timid smart group solitary nestspot domestic
"""

# Which attributes belong together: the first index and the group of each run. The table that the attribute-prototype
# papers share puts `newworld` (62) with the food; here it stands with the habitats.
AWA2_RUNS = (
    (0, "colour"),
    (8, "pattern"),
    (14, "shape"),
    (18, "body"),
    (34, "movement"),
    (44, "body"),
    (46, "activity"),
    (51, "food"),
    (62, "habitat"),
    (78, "character"),
)
SUN_RUNS = (
    (0, "function"),
    (36, "material"),
    (74, "surface"),
    (80, "material"),
    (81, "surface"),
    (85, "envelope"),
    (99, "material"),
    (100, "envelope"),
)

# The 28 groups of CUB's 312 attributes with their sizes, in the order of attributes.txt.
CUB_GROUP_SIZES = """
    has_bill_shape 9  has_wing_color 15  has_upperparts_color 15  has_underparts_color 15  has_breast_pattern 4
    has_back_color 15  has_tail_shape 6  has_upper_tail_color 15  has_head_pattern 11  has_breast_color 15
    has_throat_color 15  has_eye_color 14  has_bill_length 3  has_forehead_color 15  has_under_tail_color 15
    has_nape_color 15  has_belly_color 15  has_wing_shape 5  has_size 5  has_shape 14  has_back_pattern 4
    has_tail_pattern 4  has_belly_pattern 4  has_primary_color 15  has_leg_color 15  has_bill_color 15
    has_crown_color 15  has_wing_pattern 4
"""

# Images per class of Animals with Attributes 2; they are numbered without a gap: antelope/antelope_10001.jpg ...
AWA2_IMAGES = """
    antelope 1046  bat 383  beaver 193  blue+whale 174  bobcat 630  buffalo 895  chihuahua 567  chimpanzee 728
    collie 1028  cow 1338  dalmatian 549  deer 1344  dolphin 946  elephant 1038  fox 664  german+shepherd 1033
    giant+panda 874  giraffe 1202  gorilla 872  grizzly+bear 852  hamster 779  hippopotamus 684  horse 1645
    humpback+whale 709  killer+whale 291  leopard 720  lion 1019  mole 100  moose 704  mouse 185  otter 758  ox
    728  persian+cat 747  pig 713  polar+bear 868  rabbit 1088  raccoon 512  rat 310  rhinoceros 696  seal 988
    sheep 1420  siamese+cat 500  skunk 188  spider+monkey 291  squirrel 1200  tiger 877  walrus 215  weasel 272
    wolf 589  zebra 1170
"""
