"""The colours and marks of all figures."""

# Okabe and Ito's palette: told apart by every kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, GREY = "#56B4E9", "#E69F00", "#595959"
COLOURS, MARKERS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER), "osD^vP"
