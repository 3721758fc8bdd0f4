"""What setup.cfg cannot say: the files of configs/ are in the package as panet_jax/configs/."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=['panet_jax*']), 'panet_jax.configs'], package_dir={'panet_jax.configs': 'configs'}
)
