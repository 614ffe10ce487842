"""What the course and FER2013 published about their pictures, class by class as in CLASSES."""

COURSE_COUNTS = (4009, 450, 4136, 7275, 4841, 3221, 4955)  # training set, 28,887 pictures
FER2013_COUNTS = (3995, 436, 4097, 7215, 4830, 3171, 4965)  # Training, 28,709 pictures
COURSE_PIXELS = (0.508156, 0.264441)  # mean and standard deviation of the training pixels, 0 to 1
FER2013_PIXELS = (0.50774, 0.25501)
