"""The fifty animals: what each looks like, written by hand."""

# Under each body plan, a line for each animal: its attributes with their probability (.95 where none is written); (m)
# marks what only males have. What is left over of the habitats goes to all of them.
TABLE = """
[four-legged]
badger: small .4, stout .7, short legs, grey body .7, black body .3, dark mask, white crown, dark legs .8,
    long snout .7, round ears .7, in forest .45, at night .6
bear: large, stout, brown body .8, black body .2, round ears, long snout .3, in forest .45, in water .15
bison: large, stout, brown body, mane .8, hump, curved horns, dark legs .5, in grassland .52, in snow .15,
    in a group .6
camel: large .7, brown body .5, orange body .5, long legs, hump, long neck .6, round ears .5, in desert .64,
    in a group .3
cat: small, slender .4, long tail, pointed ears, large eyes .6, orange body .3, grey body .3, black body .2,
    white body .2, striped .4, on a farm .38, at night .3
cow: large .7, stout .6, white body .6, brown body .3, black body .1, patched .9, curved horns .6, long tail .4,
    flat snout .6, on a farm .52, in a group .5
dalmatian: slender .3, white body, spotted, long tail .7, long snout .4, running .4, on a farm .38
deer: slender, long legs .8, brown body .8, orange body .2, antlers (m), spotted .3, pale belly .6, long ears .3,
    pointed ears .6, in forest .52, in a group .4
donkey: grey body .8, brown body .2, long ears, mane .7, long tail .5, pale belly .6, on a farm .45, in desert .15
elephant: large, stout .8, grey body, trunk, tusks .7, round ears, long tail .4, in grassland .45, in water .15,
    in a group .5
fox: small .4, orange body, bushy tail, pale belly .8, pointed ears, long snout, dark legs .7, in forest .38,
    in snow .22, at night .3
giraffe: large, slender .6, orange body .7, brown body .3, spotted, long neck, long legs, mane .4, long tail .4,
    in grassland .6, in a group .4
goat: white body .6, grey body .2, brown body .2, curved horns .9, mane .2, short legs .2, on a farm .45
hedgehog: small, stout .6, short legs, brown body .8, grey body .2, spines, long snout .7, round ears .4,
    in forest .45, at night .5
horse: large .6, brown body .6, black body .2, white body .2, mane, long tail .4, bushy tail .5, long legs .7,
    pointed ears, long snout .4, running .5, on a farm .38, in grassland .22
leopard: orange body .9, brown body .1, spotted, slender .6, long tail, round ears .8, pale belly .5, running .4,
    in forest .3, in grassland .3, at night .3
lion: large .7, orange body .6, brown body .4, mane (m), long tail, round ears, in grassland .52, in a group .4
moose: large, brown body .7, black body .3, antlers (m), hump .6, long legs, long snout .7, long ears .4,
    dark legs .3, in forest .3, in snow .22, in water .15
mouse: small, grey body .6, brown body .3, white body .1, round ears, long tail, short legs .6, long snout .4,
    on a farm .38, at night .4
panda: large .4, stout, white body, dark legs, dark mask, round ears, dark crown .1, in forest .6
pig: stout, pink body, flat snout, short legs .6, pointed ears .4, round ears .3, patched .2, on a farm .6,
    in a group .4
polar bear: large, stout .8, white body, round ears .9, long snout .3, in snow .52, in water .15, swimming .2
rabbit: small, grey body .4, brown body .4, white body .2, long ears, large eyes .4, pale belly .4, running .4,
    in grassland .3, on a farm .22, in snow .15
raccoon: small .7, stout .4, grey body .8, brown body .2, dark mask, bushy tail, ringed tail, pointed ears .5,
    round ears .4, in forest .45, at night .6
rhino: large, stout, grey body, nose horn, short legs .5, pointed ears .5, in grassland .6
sheep: stout .8, white body .8, black body .2, mane .7, dark legs .7, dark mask .6, curved horns (m), on a farm .52,
    in a group .8
squirrel: small, orange body .5, brown body .3, grey body .2, bushy tail, pale belly .8, pointed ears .7,
    large eyes .3, short legs .3, in forest .6
tiger: large .7, orange body, striped, pale belly .7, round ears, long tail, running .3, in forest .45, in water .15
wolf: grey body .8, black body .2, bushy tail .8, pointed ears, long snout, pale belly .5, running .4, in forest .3,
    in snow .3, in a group .5, at night .3
zebra: large .3, white body, striped, mane, long tail .5, pointed ears, running .4, in grassland .6, in a group .6
[bird-shaped]
crow: small .4, black body, long beak .3, flying .4, in grassland .22, on a farm .22, in a group .4
duck: small .5, stout .4, brown body .7, grey body .3, flat bill, dark crown (m), wing bar .7, short legs .6,
    swimming .5, flying .2, in water .38, in a group .5
eagle: large .6, brown body .8, black body .2, white crown .8, hooked beak, flying .6
flamingo: pink body, long legs, long neck, hooked beak .7, slender .5, in water .52, in a group .7
heron: slender, grey body .8, white body .2, long legs, long neck, long beak, crest .6, dark crown .4, flying .2,
    in water .45
owl: stout .6, upright, brown body .7, white body .2, grey body .1, large eyes, pointed ears .7, hooked beak .8,
    spotted .4, flying .3, in forest .45, at night .7
parrot: green body, upright .6, hooked beak, long tail .8, red crown .5, red breast .5, wing bar .3, flying .4,
    in forest .52
penguin: upright, stout .7, black body, pale belly, short legs .8, in snow .6, swimming .1, in a group .7
robin: small, stout .3, brown body .8, grey body .2, red breast, large eyes .3, flying .3, in forest .22,
    in snow .22, on a farm .15
rooster: brown body .5, orange body .3, white body .2, red crown, crest .8, fan tail, stout .3, on a farm .6
swan: large .7, white body, long neck, flat bill .8, dark mask .5, swimming .6, flying .2, in water .38
toucan: black body, upright .4, long beak, pale belly .7, long tail .5, in forest .6, flying .3
woodpecker: small .7, black body .7, green body .3, upright .7, red crown, red breast .4, long beak .7, wing bar .6,
    spotted .4, in forest .6, flying .3
[fish-shaped]
clownfish: small, stout .5, orange body, striped, in a group .4
goldfish: small .8, stout .7, orange body .9, white body .1, fan tail .9, large eyes .5, in a group .3
shark: large, slender, grey body, pale belly, tall fin, long snout .6
whale: large, stout, grey body .5, black body .5, pale belly .8
[reptile-shaped]
crocodile: large .8, green body .8, brown body .2, long snout, spines .8, long tail, pale belly .4, in water .45,
    swimming .2
iguana: green body .9, brown body .1, spines, crest .7, long tail, ringed tail .5, in forest .38, in desert .22
tortoise: stout, green body .6, brown body .4, shell, short legs .6, in desert .3, in grassland .15
"""

UNSEEN = ("crocodile", "goat", "heron", "leopard", "polar bear", "rabbit", "raccoon", "robin", "wolf", "zebra")
