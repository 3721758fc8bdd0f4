"""The Segmenter: it is shown classes on a few photographs, and finds them in others.

segmenter (the class), stream and encoding (images through the encoder), comparison (one image with the references -> a
Segmentation), segmentation, presence (how probable it is that an image shows a class).

References: references (what a user draws), understanding (what points and boxes stand for), new_references, reference_set,
folder_references, reference_pictures, saved (on disk), fingerprint.

Results: outputs, draft_files, kept_answers (which classes a user said they show), review/ (what a person decides about them). For other runtimes: program, onnx/.
"""
