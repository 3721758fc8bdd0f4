"""PANet in plain PyTorch, written from the paper, to measure against: one episode at a time, as the original.

Features are upsampled to the image before they are pooled (section 3.2), and images are encoded in one
pass. Not a reference for numbers: parity is tested against recordings of the authors' own code.
"""

import torch
from torch import nn
from torch.nn import functional as F

BLOCKS = ((2, 64, 2), (2, 128, 2), (3, 256, 2), (3, 512, 1))


def make_encoder():
    """VGG-16 without its classifier: 3 x 3 pools, the last block dilated, no ReLU at the end."""
    layers, channels = [], 3
    for convolutions, out, stride in BLOCKS:
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(inplace=True)]
            channels = out
        layers.append(nn.MaxPool2d(3, stride, padding=1))
    for last in (False, False, True):
        layers.append(nn.Conv2d(channels, 512, 3, padding=2, dilation=2))
        layers += [] if last else [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def masked_mean(features, masks):
    """[B, C, h, w] under [B, H, W] -> [B, C], the features upsampled first."""
    features = F.interpolate(features, masks.shape[-2:], mode='bilinear', align_corners=False)
    return (features * masks[:, None]).sum((-2, -1)) / (masks.sum((-2, -1))[:, None] + 1e-5)


def cosine_logits(features, prototypes):
    """[Q, C, h, w] and [L, C] -> [Q, L, h, w]."""
    return 20 * torch.stack([F.cosine_similarity(features, p[None, :, None, None], dim=1) for p in prototypes], 1)


def segment(encoder, episode):
    """Support features, query features and logits on the grid, of one 1-way episode of tensors."""
    supports, foreground, background, queries, _ = episode
    features = encoder(torch.cat([supports, queries]))
    support_features, query_features = features[: len(supports)], features[len(supports) :]
    means = [masked_mean(support_features, masks).mean(0) for masks in (background, foreground)]
    return support_features, query_features, cosine_logits(query_features, torch.stack(means))


def loss(encoder, episode):
    """Segmentation and alignment loss of one 1-way episode."""
    _, foreground, background, _, labels = episode
    support_features, query_features, logits = segment(encoder, episode)
    size = labels.shape[-2:]
    resize = {'size': size, 'mode': 'bilinear', 'align_corners': False}
    segmentation = F.cross_entropy(F.interpolate(logits, **resize), labels, ignore_index=255)
    assigned = F.one_hot(logits.argmax(1), 2).permute(0, 3, 1, 2).float()  # [Q, 2, h, w]
    sums = torch.einsum('qchw,qlhw->lc', query_features, assigned)
    prototypes = sums / (assigned.sum((0, 2, 3))[:, None] + 1e-5)
    truth = torch.full_like(foreground, 255, dtype=torch.long)
    truth[background > 0], truth[foreground > 0] = 0, 1
    back = F.interpolate(cosine_logits(support_features, prototypes), **resize)
    return segmentation + F.cross_entropy(back, truth, ignore_index=255)
