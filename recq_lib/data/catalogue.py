"""The public datasets, one card each (`cards.py`): sizes, terms, citation, where the files lie and how each is recognised."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from recq_lib.data.cards import DatasetCard, RemoteFile

_RAW = "https://raw.githubusercontent.com/"
_LIGHTGCN_MIRRORS = (  # the same blobs, under the commit each repository had when they were compared
    "kuandeng/LightGCN/b067ec05f16a24e0e1efe63cd82385f0c469af20/Data/",
    "gusye1234/LightGCN-PyTorch/947ca2b3b1d2d3545b114145710cb06c4e57b3d2/data/",
    "xiangwang1223/neural_graph_collaborative_filtering/a718a4f2df7c3942ca0df6759926975762c61eed/Data/",
)
_MOVIELENS_TERMS = (
    "research use, acknowledge in publications, no implied endorsement, no commercial use without permission; "
    "the user may not redistribute the data without separate permission (GroupLens README)"
)
_NO_LICENCE = "no licence text was found in the source repository; treat as not redistributable"


def _lightgcn_file(folder: str, split: str, mirrors: tuple[int, ...], size: int, git_blob: str, sha256: str, md5: str) -> RemoteFile:
    name = f"{split}.txt"
    urls = tuple(f"{_RAW}{_LIGHTGCN_MIRRORS[mirror]}{folder}/{name}" for mirror in mirrors)
    return RemoteFile(name, urls, split, size=size, sha256=sha256, git_blob=git_blob, md5=md5)


def _split_files(folder: str, ending: str, **git_blobs: str) -> tuple[RemoteFile, ...]:
    names = {split: f"{split}.{ending}" for split in git_blobs}
    return tuple(RemoteFile(names[split], (f"{_RAW}{folder}{names[split]}",), split, git_blob=blob) for split, blob in git_blobs.items())


_ML100K = DatasetCard(
    name="ml100k",
    title="MovieLens 100K, official split ua",
    n_users=943, n_items=1682, n_train=90570, n_val=0, n_test=9430,
    licence=_MOVIELENS_TERMS,
    citation="F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS, 2015",
    homepage="https://files.grouplens.org/datasets/movielens/",
    reader="movielens",
    files=(
        RemoteFile(
            "ml-100k.zip",
            ("https://files.grouplens.org/datasets/movielens/ml-100k.zip",),
            md5="0e33842e24a9c977be4e0107933c0723",
            members=(
                RemoteFile("ml-100k/ua.base", split="train", git_blob="f3f414560fee9d9ba7e456fe0ce3d01ca2b5fb0b"),
                RemoteFile("ml-100k/ua.test", split="test", git_blob="1fc61f6c97d02eb642ec876e304a5880d2ba6575"),
            ),
        ),
    ),
    npz_names=("ml100k_ua.npz", "ml100k.npz"),
    content_sha256={
        "train": "069a893ee479eab41942b0ada2c3a75add4ae73be99753ea8c78791706c0d6e1",
        "test": "f0c13361d3aa55218a721bbb553a11a3a7e755995fad150463c30edcda2acd68",
    },
    notes="every rating is a positive; ids are MovieLens ids minus 1; exactly 10 test items per user",
)

_LASTFM = DatasetCard(
    name="lastfm",
    title="Last.fm (HetRec 2011), LightGCN-PyTorch's split",
    n_users=1892, n_items=4489, n_train=42135, n_val=0, n_test=10533,
    licence="made available for non-commercial use (HetRec 2011 readme); treat as not redistributable",
    citation="HetRec 2011 (hetrec2011-lastfm-2k); split of LightGCN-PyTorch (He et al.: LightGCN, SIGIR 2020)",
    homepage="https://github.com/gusye1234/LightGCN-PyTorch",
    reader="weighted",
    files=(
        RemoteFile(
            "data1.txt", (f"{_RAW}{_LIGHTGCN_MIRRORS[1]}lastfm/data1.txt",), "train",
            size=579727, git_blob="35bf4551dfd63df6d68be9b09214fafd0927212d",
        ),
        RemoteFile(
            "test1.txt", (f"{_RAW}{_LIGHTGCN_MIRRORS[1]}lastfm/test1.txt",), "test",
            size=144867, git_blob="c4227df62457fa5b3bf2926d13cae0218f2bebea",
        ),
    ),
    npz_names=("lastfm.npz",),
    content_sha256={
        "train": "69f34b3054436eef58a053ec86501c95bd9f297ebae197dbaeb7b20c59d5c01d",
        "test": "923fdf7285164677a8096930644a087bcf3089b8ce7d5cf4b73ec43406cf3145",
    },
    notes="listening counts are dropped; ids minus 1; 12 of the 1,892 users have no interaction at all",
)

_ML1M = DatasetCard(
    name="ml1m",
    title="MovieLens 1M, per-user random 80/20 split of BGCH and BiGeaR",
    n_users=6040, n_items=3952, n_train=797758, n_val=0, n_test=202451,
    licence=_MOVIELENS_TERMS,
    citation="F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS, 2015; split of BGCH",
    homepage="https://github.com/yankai-chen/BGCH",
    reader="lightgcn",
    files=_split_files(
        "yankai-chen/BGCH/b18f509e3b9b0202da3c5a3ec0c8abb5ce018a4d/dataset/movie/", "txt",
        train="5004fbe320487b6f70fd7e086ee5c8c963ecc6be", test="45d96545b610b290c964f97125bd318fc26b16e0",
    ),
    npz_names=("ml1m.npz",),
    content_sha256={
        "train": "9503007c64feffc47fa25506ba2efb4fb5b1cb695f623548701e64e68b2c041d",
        "test": "c8b25e8f538ee4593c0c6ece379beb89bd6d19dcd6740860c83e4537dccb4933",
    },
    notes="every rating is a positive; 3,952 item slots of which 3,706 occur; 31 test items never occur in train",
)

_BEAUTY = DatasetCard(
    name="beauty",
    title="Amazon Beauty, BACO's 80/10/10 split of DirectAU's data",
    n_users=22363, n_items=12101, n_train=158801, n_val=19850, n_test=19851,
    licence=_NO_LICENCE,
    citation="Amazon product data (McAuley, UCSD); prepared by DirectAU (KDD 2022); split of BACO",
    homepage="https://github.com/HKBU-LAGAS/BACO",
    reader="tensor",
    files=_split_files(
        "HKBU-LAGAS/BACO/b6691fa64daedd9d5fd41f87b3988e7bfcdace68/code/datasets/Beauty-processed/", "pt",
        train="5cf9e2aaf6bb5887fe41befd69bc2058a973bcda", val="421974bbf34f581b79cba901bb50c773ca15a363",
        test="f9d9c47ee2b9045c13cb912783f4d001ed1e701f",
    ),
    npz_names=("beauty.npz",),
    content_sha256={
        "train": "02152efce2a74f083d6c5fefa9b5f5742ac80bd7b10ec867210a6b2a3c15ee93",
        "val": "fb796a5744e2721a8c22ecfbb695855b09dc512cfb670a6ed8abbb05942218e2",
        "test": "70843620e164cd78f004e6f5ed050a5fd3d6dadc2bf614fdeef9c29c2424ac70",
    },
    notes="global random edge split; 3 users and 1 item have no train interaction",
)

_GOWALLA = DatasetCard(
    name="gowalla",
    title="Gowalla check-ins, NGCF/LightGCN split",
    n_users=29858, n_items=40981, n_train=810128, n_val=0, n_test=217242,
    licence=_NO_LICENCE,
    citation="SNAP loc-gowalla; split of NGCF (Wang et al., SIGIR 2019) and LightGCN (He et al., SIGIR 2020)",
    homepage="https://github.com/kuandeng/LightGCN",
    reader="lightgcn",
    files=(
        _lightgcn_file(
            "gowalla", "train", (0, 1, 2), 4633414, "a27782bd7a1d4d0744148dc0460ea94da74763f2",
            "7244696fdeb23911319cf7b689f2e15a3c4c92549c873a5677b44e3f13cc3e62", "5eec1eb2edb8dd648377d348b8e136cf",
        ),
        _lightgcn_file(
            "gowalla", "test", (0, 1, 2), 1372559, "9ed5af4b5d21511f33740b4e22e3852f45671800",
            "099a2a73924e4b754dc6efd730d764f492321b53c38eb93298850c83acf57be3", "c04e2c4bcd2389f53ed8281816166149",
        ),
    ),
    npz_names=("gowalla.npz",),
    content_sha256={
        "train": "d31f7d0186e208c1f80824efec00b7e24ad37e891a5d9e61c7fcdcc4dc3e4fe0",
        "test": "bee24b6e96556dd3842968905c9b6e3134101ede7948033057a7cb3f0fc81ec9",
    },
)

_YELP2018 = DatasetCard(
    name="yelp2018",
    title="Yelp 2018, LightGCN split",
    n_users=31668, n_items=38048, n_train=1237259, n_val=0, n_test=324147,
    licence="derived from the Yelp Open Dataset: solely for academic or non-commercial purposes; treat as not redistributable",
    citation="Yelp Open Dataset; split of LightGCN (He et al., SIGIR 2020)",
    homepage="https://github.com/kuandeng/LightGCN",
    reader="lightgcn",
    files=(
        _lightgcn_file(
            "yelp2018", "train", (0, 1), 6904880, "cda12361055ba448ae4bd1070f6000c16dea8f22",
            "1e9568725a9e833d0ac3bae01c94cd95367f73b3bb6104fd26b5f65ea5054093", "1b8b5d22a227e01d6de002c53d32b4c4",
        ),
        _lightgcn_file(
            "yelp2018", "test", (0, 1), 1986152, "30dfbc3437b27b74cb2970b435a5ec93ad9f2468",
            "9cd9b37926cd1447a06625ffa7914527573fb097c10cb0bbdb1d1b8ded3742fe", "0d57d7399862c32152b045ec5d2698e7",
        ),
    ),
    npz_names=("yelp2018.npz",),
    content_sha256={
        "train": "5559531ecae24ffce60cf3d3dc8a26ce826785bc904c09a002b61ad69016c1af",
        "test": "e29330e3fa50d05ca968970f85f6764d7edbe91d64d436dba9660a202053f250",
    },
    notes="the train pairs behind content_sha256 were recovered from another copy of the same split; item order is not kept",
)

_PINTEREST = DatasetCard(
    name="pinterest",
    title="Pinterest, GDE's split, cleaned",
    n_users=37501, n_items=9836, n_train=790006, n_val=0, n_test=210148,
    licence=_NO_LICENCE,
    citation="Geng et al., ICCV 2015; prepared by GDE (SIGIR 2022)",
    homepage="https://github.com/kangkang-yun/HMGCN",
    reader="lightgcn-repeats",
    files=_split_files(
        "kangkang-yun/HMGCN/bfbaf6f460103d610da1d434b9d6b1070060ab88/data/pinterest/", "txt",
        train="54f9b8f8a65154ffd79f14217e73136de77618f6", test="d926b57c66565f280ba572b8ea0f0270d25d744b",
    ),
    npz_names=("pinterest.npz",),
    content_sha256={
        "train": "65f7e8078edf53fb64c42f3e7f4dfca826a2d29bea60fc35354a8844586e9aab",
        "test": "26f621fe8ced77044306af65e817d61a85246fc5a7a48f2db14214375ea66663",
    },
    cleaned=True,
    notes="cleaned, so not comparable with published numbers: of the raw 805,742 train and 219,967 test pairs, repeats were dropped and "
    "8,743 pairs of train taken out of test; 40 test items never occur in train; not the set of 55,187 users and 9,916 items of NCF",
)

_AMAZON_BOOK = DatasetCard(
    name="amazon-book",
    title="Amazon Books, NGCF/LightGCN split",
    n_users=52643, n_items=91599, n_train=2380730, n_val=0, n_test=603378,
    licence=_NO_LICENCE,
    citation="Amazon product data (McAuley, UCSD); split of NGCF (Wang et al., SIGIR 2019) and LightGCN (He et al., SIGIR 2020)",
    homepage="https://github.com/kuandeng/LightGCN",
    reader="lightgcn",
    files=(
        _lightgcn_file(
            "amazon-book", "train", (0, 1, 2), 14125691, "6ef55159c5f1fd7f6d86eb9ff290d0cc2854ac99",
            "529066026085919381acd4ce19f69e9eafa4af3fef1a10119ea5551cc2ef8530", "c916ecac04ca72300a016228258b41ed",
        ),
        _lightgcn_file(
            "amazon-book", "test", (0, 1, 2), 3848611, "09e5da4e0bf46c751c4ba0f4375e414fd13512cd",
            "6250754994dd953b91b48dccdd77a73f318e0634b4757c2abfcc9d33a54ab0f5", "30f8ccfea18d25007ba9fb9aba4e174d",
        ),
    ),
    npz_names=("amazon-book.npz", "amazon_book.npz"),
    notes="content hashes are not known yet: a ready-made npz is checked by its counts only; not the KGAT version of the same name",
)

CATALOGUE: Mapping[str, DatasetCard] = MappingProxyType(
    {card.name: card for card in (_ML100K, _LASTFM, _ML1M, _BEAUTY, _GOWALLA, _YELP2018, _PINTEREST, _AMAZON_BOOK)}
)
