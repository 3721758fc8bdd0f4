"""PANet in plain PyTorch, written from the paper, and the numbers it computes on a drawn episode.

    pip install torch -e '.[test]'
    python tests/golden/make_pytorch_golden.py              # writes pytorch_shapes.npz beside this file
    python tests/golden/make_pytorch_golden.py EPISODE.npz  # compares with a recording of the authors' code

The second form is how this file itself was checked (PANET_GOLDEN in the README's section on tests).
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import panet_jax as pj
from panet_jax.datasets.shapes import Shapes
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draws, Task, images_by_class
from panet_jax.method.vgg16 import CONV_NAMES

STEPS = 3


def encode(weights, x):
    """[B, 3, H, W] -> [B, 512, h, w]."""
    for name in CONV_NAMES:
        block, dilation = int(name[4]), 2 if name[4] == '5' else 1
        x = F.conv2d(x, *weights[name], padding=dilation, dilation=dilation)
        x = x if name == 'conv5_3' else F.relu(x)
        if name in ('conv1_2', 'conv2_2', 'conv3_3', 'conv4_3'):
            x = F.max_pool2d(x, 3, stride=1 if block == 4 else 2, padding=1)
    return x


def up(x, size):
    return F.interpolate(x, size=size, mode='bilinear', align_corners=False)


def masked_mean(features, mask):
    """[B, C, H, W], [B, H, W] -> [C], all images of the batch as one."""
    return (features * mask[:, None]).sum((0, 2, 3)) / (mask.sum() + 1e-5)


def logits(features, prototypes):
    return torch.stack([20 * F.cosine_similarity(features, p[None, :, None, None], dim=1) for p in prototypes], 1)


def panet(weights, episode):
    """Everything about one episode: features, prototypes, logits, segmentation and alignment loss."""
    ways, shots, height, width = episode['support_fg'].shape
    foreground = torch.tensor(episode['support_fg'], dtype=torch.float32)
    background = torch.tensor(episode['support_bg'], dtype=torch.float32)
    labels = torch.tensor(episode['query_labels'].astype(np.int64))
    images = np.concatenate([episode['support_images'].reshape(-1, height, width, 3), episode['query_images']])
    images = (images / np.float32(255) - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    features = encode(weights, torch.tensor(images.transpose(0, 3, 1, 2)))
    support, query = features[: ways * shots], features[ways * shots :]
    support = support.reshape(ways, shots, *support.shape[1:])
    size = height, width

    class_means = [
        torch.stack([masked_mean(up(support[n, [k]], size), foreground[n, [k]]) for k in range(shots)]).mean(0)
        for n in range(ways)
    ]
    everything = [masked_mean(up(support[n, [k]], size), background[n, [k]]) for n in range(ways) for k in range(shots)]
    prototypes = torch.stack([torch.stack(everything).mean(0), *class_means])
    small = logits(query, prototypes)
    large = up(small, size)
    segmentation = F.cross_entropy(large, labels, ignore_index=255)

    assigned = small.argmax(1)
    background_prototype = masked_mean(query, (assigned == 0).float())
    alignment = torch.zeros(())
    for n in range(ways):
        if (assigned == n + 1).any():
            pair = torch.stack([background_prototype, masked_mean(query, (assigned == n + 1).float())])
            for k in range(shots):
                target = torch.full(size, 255)
                target[foreground[n, k] == 1] = 1
                target[background[n, k] == 1] = 0
                predicted = up(logits(support[n, [k]], pair), size)
                alignment = alignment + F.cross_entropy(predicted, target[None], ignore_index=255) / (ways * shots)
    return features, prototypes, large, segmentation, alignment


def record(episode, steps):
    """The golden numbers of an episode, named as in the recordings of the authors' code."""
    params = pj.load_encoder_params('imagenet')
    weights = {
        name: [
            torch.tensor(np.asarray(params[name]['kernel']).transpose(3, 2, 0, 1).copy(), requires_grad=True),
            torch.tensor(np.asarray(params[name]['bias']).copy(), requires_grad=True),
        ]
        for name in CONV_NAMES
    }
    flat = [tensor for pair in weights.values() for tensor in pair]
    optimizer = torch.optim.SGD(flat, lr=1e-3, momentum=0.9, weight_decay=5e-4)
    losses, golden = [], {}
    for step in range(steps):
        features, prototypes, large, segmentation, alignment = panet(weights, episode)
        losses.append([segmentation.item(), alignment.item()])
        optimizer.zero_grad()
        (segmentation + alignment).backward()
        if step == 0:
            golden = {
                'features_every16': features[:, ::16].detach().numpy().transpose(0, 2, 3, 1),
                'prototypes': prototypes.detach().numpy(),
                'logits_every8': large[:, :, ::8, ::8].detach().numpy().transpose(0, 2, 3, 1),
                'prediction': large.argmax(1).numpy().astype(np.uint8),
                'grad_norms': np.array([tensor.grad.norm().item() for tensor in flat]),
                'grad_conv5_3_every16': weights['conv5_3'][0].grad[::16, ::16].numpy().transpose(2, 3, 1, 0),
            }
        optimizer.step()
    return golden | {'losses_seg_align': np.array(losses)}


def drawn_episode():
    """A 2-way 2-shot episode with 2 queries of `shapes`, 65 x 65 pixels."""
    source, task = Shapes('test', 65), Task(ways=2, shots=2, queries=2)
    episode = Episodes(source, Draws(images_by_class(source, [1, 2, 3, 4, 5], task), task, seed=0), size=65)[0]
    return {
        'support_images': episode.support_images,
        'support_fg': episode.support_foreground,
        'support_bg': episode.support_background,
        'query_images': episode.query_images,
        'query_labels': episode.query_labels,
    }


def main():
    if len(sys.argv) > 1:
        wanted = dict(np.load(sys.argv[1]))
        ours = record(wanted, len(wanted['losses_seg_align']))
        for name, value in ours.items():
            difference = np.linalg.norm((value - wanted[name]).astype(float)) / np.linalg.norm(wanted[name])
            print(f'{name}: relative difference {difference:.1e}')
        return
    episode = drawn_episode()
    np.savez_compressed(Path(__file__).with_name('pytorch_shapes.npz'), **episode, **record(episode, STEPS))


if __name__ == '__main__':
    main()
