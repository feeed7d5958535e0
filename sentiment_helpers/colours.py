"""The colours and marks of all figures."""

# Okabe and Ito's palette: told apart by every kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#595959"
COLOURS, MARKERS = (BLUE, ORANGE, GREEN, PURPLE), "osD^"
