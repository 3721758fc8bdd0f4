from .errors import InputError as InputError
from .images.objects import Object as Object
from .method.episode import IGNORE as IGNORE
from .method.episode import Episode as Episode
from .method.episode import normalize as normalize
from .method.episode import prepare as prepare
from .method.losses import alignment_loss as alignment_loss
from .method.losses import segmentation_loss as segmentation_loss
from .method.panet import encode_episode as encode_episode
from .method.panet import episode_logits as episode_logits
from .method.panet import episode_loss as episode_loss
from .method.prototypes import class_prototypes as class_prototypes
from .method.prototypes import cosine_logits as cosine_logits
from .method.prototypes import masked_mean as masked_mean
from .method.prototypes import upsample as upsample
from .method.vgg16 import encode as encode
from .networks.choose import load_encoder_params as load_encoder_params
from .networks.choose import load_network as load_network
from .networks.network import Network as Network
from .networks.weights import save_encoder_params as save_encoder_params
from .segmenter.references import Box as Box
from .segmenter.references import Points as Points
from .segmenter.references import Scribble as Scribble
from .segmenter.segmentation import Segmentation as Segmentation
from .segmenter.segmenter import Segmenter as Segmenter

__version__: str
