"""PANet in plain PyTorch, written from the paper, for comparisons of speed.

Features are upsampled to the image before they are pooled (section 3.2), again for each mask as in the authors' code. Images
are NCHW, and nothing is compiled. All images of a batch of episodes are encoded in one pass; then the episodes are processed
one after the other. It is no reference for values: tests compare those with recordings of the authors' own code.
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


def encode(encoder, episodes):
    """Support and query features of each 1-way episode, a tuple of tensors."""
    images = [images for supports, _, _, queries, _ in episodes for images in (supports, queries)]
    features = encoder(torch.cat(images)).split([len(group) for group in images])
    return list(zip(features[::2], features[1::2], strict=True))


def segment(features, episode):
    """Logits of the queries on the grid, from the features of one episode."""
    support_features, query_features = features
    _, foreground, background, _, _ = episode
    means = [masked_mean(support_features, masks).mean(0) for masks in (background, foreground)]
    return cosine_logits(query_features, torch.stack(means))


def upsample(logits, episode):
    return F.interpolate(logits, episode[-1].shape[-2:], mode='bilinear', align_corners=False)


def predict(encoder, episodes):
    """The predicted labels of each episode."""
    features = encode(encoder, episodes)
    return [upsample(segment(*both), both[1]).argmax(1) for both in zip(features, episodes, strict=True)]


def mean_loss(encoder, episodes):
    """Segmentation and alignment loss, the mean over episodes."""
    features = encode(encoder, episodes)
    return torch.stack([episode_loss(*both) for both in zip(features, episodes, strict=True)]).mean()


def episode_loss(features, episode):
    support_features, query_features = features
    _, foreground, background, _, labels = episode
    logits = segment(features, episode)
    segmentation = F.cross_entropy(upsample(logits, episode), labels, ignore_index=255)
    assigned = F.one_hot(logits.argmax(1), 2).permute(0, 3, 1, 2).float()  # [Q, 2, h, w]
    sums = torch.einsum('qchw,qlhw->lc', query_features, assigned)
    prototypes = sums / (assigned.sum((0, 2, 3))[:, None] + 1e-5)
    truth = torch.full_like(foreground, 255, dtype=torch.long)
    truth[background > 0], truth[foreground > 0] = 0, 1
    support_logits = upsample(cosine_logits(support_features, prototypes), episode)
    return segmentation + F.cross_entropy(support_logits, truth, ignore_index=255)
