"""The words of the demo language model: what requests may say and what captions may answer.

`STYLES`, `PARTS`, `CHORDS` and `MOODS` hold the vocabulary of the demo DiT (its card is
`src/engine/demo-model/MODEL.md`); only these words reach an answered caption. The other tables
lead from what people write to that vocabulary.
"""

# fmt: off

# Words the DiT knows for each style. The first is the plain name.
STYLES = {
    "house": ["house", "deep house", "club house", "house music"],
    "techno": ["techno", "dark techno", "driving techno", "techno music"],
    "ambient": ["ambient", "ambient music", "ambient drone", "dreamy ambient"],
    "chiptune": ["chiptune", "8-bit", "8-bit chiptune", "retro game chiptune"],
    "lofi": ["lofi", "lo-fi", "lofi hip hop", "chill lofi"],
    "waltz": ["waltz", "slow waltz", "vienna waltz", "piano waltz"],
}

# Usual tempo, parts played unless the request says otherwise, chord sound, share of minor keys.
USUAL = {
    "house": ((118, 130), ("drums", "bass"), "synth", 0.6),
    "techno": ((126, 144), ("drums", "bass"), "synth", 0.8),
    "ambient": ((60, 84), ("lead",), "pad", 0.5),
    "chiptune": ((124, 168), ("drums", "bass", "lead"), "synth", 0.4),
    "lofi": ((70, 92), ("drums", "bass"), "piano", 0.5),
    "waltz": ((78, 132), ("bass", "lead"), "piano", 0.35),
}

# Moods a style takes when the request names none.
STYLE_MOODS = {
    "house": ["warm", "deep", "energetic", "upbeat"],
    "techno": ["dark", "driving", "energetic"],
    "ambient": ["calm", "dreamy", "soft", "relaxing"],
    "chiptune": ["happy", "bright", "retro", "upbeat"],
    "lofi": ["warm", "calm", "relaxing", "soft"],
    "waltz": ["bright", "soft", "happy", "dreamy"],
}

# part: (words the DiT knows, further words of requests)
PARTS = {
    "drums": (
        ["drums", "a beat", "percussion"],
        ["drum machine", "kick and snare", "hi-hats", "beats", "a groove", "claps", "a drum kit"],
    ),
    "bass": (
        ["bass", "a bassline", "a bass line"],
        ["sub bass", "808s", "bass guitar", "double bass", "low end", "a contrabass"],
    ),
    "lead": (
        ["a lead", "a melody", "a lead melody"],
        [
            "violin", "flute", "saxophone", "trumpet", "a solo", "clarinet", "lead synth",
            "a whistle", "harmonica", "accordion", "cello", "electric guitar solo",
            "a catchy hook",
        ],
    ),
}

# chord sound: (words the DiT knows, further words of requests)
CHORDS = {
    "pad": (
        ["pads", "warm pads", "synth pads"],
        ["strings", "a choir", "organ", "string section", "atmospheric textures", "orchestra"],
    ),
    "piano": (
        ["piano", "piano chords", "electric piano"],
        [
            "keys", "a grand piano", "guitar", "acoustic guitar", "harp", "rhodes", "ukulele",
            "music box", "vibraphone",
        ],
    ),
    "synth": (
        ["synth", "synth chords", "synth stabs"],
        [
            "synthesizer", "electric guitar", "distorted guitar", "keyboards", "brass",
            "analog synths", "horns", "arpeggios",
        ],
    ),
}

# mood of the DiT: (words of requests, tempo tilt, mode, style if nothing else tells)
MOODS = {
    "warm": (
        ["cozy", "gentle", "tender", "romantic", "nostalgic", "intimate", "lovely"],
        0,
        None,
        "lofi",
    ),
    "dark": (
        [
            "gloomy", "scary", "sinister", "ominous", "mysterious", "evil", "tense", "spooky",
            "haunting", "brooding",
        ],
        0,
        "minor", "techno",
    ),
    "deep": (["hypnotic", "groovy", "smooth", "sensual", "underground"], 0, "minor", "house"),
    "dreamy": (
        [
            "ethereal", "floating", "spacey", "magical", "atmospheric", "surreal", "hazy", "airy",
            "whimsical",
        ],
        -1,
        None,
        "ambient",
    ),
    "calm": (
        ["peaceful", "quiet", "soothing", "serene", "tranquil", "meditative", "still"],
        -1,
        None,
        "ambient",
    ),
    "relaxing": (
        ["relaxed", "laid-back", "mellow", "easy", "lazy", "unwinding", "cosy"],
        -1,
        None,
        "lofi",
    ),
    "soft": (["delicate", "light", "subtle", "minimal", "fragile", "sparse"], -1, None, "ambient"),
    "slow": (["downtempo", "slow-paced", "heavy-hearted", "solemn"], -1, None, "lofi"),
    "happy": (
        ["cheerful", "joyful", "playful", "fun", "cute", "silly", "sunny", "funny", "cheery"],
        1,
        "major", "chiptune",
    ),
    "bright": (
        [
            "uplifting", "hopeful", "optimistic", "inspiring", "triumphant", "positive", "heroic",
            "festive",
        ],
        0,
        "major", "house",
    ),
    "upbeat": (
        ["catchy", "bouncy", "lively", "feel-good", "funky", "danceable", "peppy"],
        1,
        "major", "house",
    ),
    "energetic": (
        [
            "powerful", "fast", "intense", "epic", "aggressive", "hard", "loud", "wild",
            "high-energy", "angry", "exciting", "furious",
        ],
        1,
        None,
        "techno",
    ),
    "driving": (
        ["pumping", "relentless", "pounding", "motivating", "motivational", "racing"],
        1,
        "minor", "techno",
    ),
    "melancholic": (
        [
            "sad", "melancholy", "bittersweet", "emotional", "lonely", "heartbroken", "sorrowful",
            "moody", "wistful", "tragic", "somber",
        ],
        -1,
        "minor", "lofi",
    ),
    "retro": (
        ["vintage", "old-school", "80s", "90s", "classic", "pixelated", "oldschool"],
        0,
        None,
        "chiptune",
    ),
}

# Genres outside the DiT's vocabulary, by the style that stands in for them.
GENRES = {
    "house": [
        "dance", "disco", "pop", "edm", "funk", "dance pop", "garage", "k-pop", "j-pop",
        "synthpop", "latin", "reggaeton", "afrobeat", "soul", "gospel", "electro", "salsa",
        "eurodance", "electronic", "electropop", "samba", "future bass", "tropical", "nu disco",
        "club", "indie pop", "dancehall", "motown",
    ],
    "techno": [
        "rock", "metal", "punk", "trance", "drum and bass", "dubstep", "industrial", "rave",
        "hardcore", "hard rock", "heavy metal", "grunge", "hardstyle", "breakbeat", "cyberpunk",
        "acid", "psytrance", "idm", "jungle", "alternative rock", "ebm", "electronica",
        "minimal techno", "detroit techno", "synthwave", "darkwave",
    ],
    "ambient": [
        "cinematic", "film score", "soundtrack", "new age", "drone", "meditation music",
        "soundscape", "orchestral", "post-rock", "shoegaze", "space music", "choral",
        "trailer music", "world music", "gregorian chant", "dream pop", "sound bath",
        "healing music", "trip hop", "chillout",
    ],
    "chiptune": [
        "video game", "game", "arcade", "pixel art", "8 bit", "platformer", "cartoon",
        "children's", "gameboy", "boss fight", "jingle", "video game music", "16-bit", "anime",
        "kids", "bitpop", "retro gaming", "nintendo", "ringtone", "comedy",
    ],
    "lofi": [
        "hip hop", "rap", "jazz", "r&b", "blues", "trap", "bossa nova", "ballad", "indie",
        "acoustic", "singer-songwriter", "boom bap", "chillhop", "soft rock", "reggae",
        "neo soul", "coffee shop jazz", "piano ballad", "slow jam", "smooth jazz", "country",
        "dub", "swing", "chill", "lounge", "beats to study to", "power ballad",
    ],
    "waltz": [
        "classical", "folk", "ballroom", "lullaby", "fairy tale", "celtic", "polka",
        "romantic classical", "minuet", "carousel", "musette", "baroque", "ballet",
        "christmas carol", "viennese", "opera", "chamber music", "tango", "sonata",
        "string quartet", "medieval", "symphony", "nocturne", "sea shanty", "hymn",
    ],
}

# Scenes and uses, by the style that suits them.
SCENES = {
    "house": [
        "a party", "dancing", "summer", "the beach", "a rooftop bar", "a fashion show",
        "driving at sunset", "a night out", "cooking", "a pool party", "shopping", "a road trip",
        "cleaning the house", "a birthday", "new year's eve",
    ],
    "techno": [
        "a workout", "running", "the gym", "a warehouse", "a car chase", "an action scene",
        "a battle", "a race", "robots", "a factory", "boxing", "a hacker movie", "sprinting",
        "the night city", "an alien invasion", "a thriller", "cycling",
    ],
    "ambient": [
        "sleep", "meditation", "yoga", "falling asleep", "deep space", "the ocean", "a forest",
        "rain", "a documentary", "stars", "breathing", "a spa", "the sea",
        "mountains in the mist", "a horror film", "the northern lights", "a sunrise",
        "underwater scenes", "a massage", "snow falling",
    ],
    "chiptune": [
        "a platform game", "a boss battle", "a pixel hero", "an arcade", "a puzzle game", "kids",
        "a space shooter", "a level in a castle", "a racing game", "a dungeon",
        "collecting coins", "a game menu", "a cartoon", "a robot dance", "a toy shop",
    ],
    "lofi": [
        "studying", "a rainy day", "reading", "a coffee shop", "homework", "late nights",
        "a lazy sunday", "working", "a train ride", "coding", "writing", "heartbreak",
        "autumn leaves", "a podcast", "a bookshop", "missing someone", "drinking tea",
    ],
    "waltz": [
        "a wedding", "a ballroom", "a princess", "a carousel", "a fairy tale", "christmas",
        "a ball", "a couple dancing in three", "a winter palace", "a music box", "old paris",
        "a masquerade", "a lullaby for a baby", "an ice rink", "a first dance",
    ],
}

# The same ideas in other languages: word -> (kind, value).
FOREIGN = {
    "triste": ("mood", "melancholic"), "alegre": ("mood", "happy"), "feliz": ("mood", "happy"),
    "tranquila": ("mood", "calm"), "oscuro": ("mood", "dark"), "relajante": ("mood", "relaxing"),
    "joyeux": ("mood", "happy"), "calme": ("mood", "calm"), "sombre": ("mood", "dark"),
    "traurig": ("mood", "melancholic"), "fröhlich": ("mood", "happy"), "ruhig": ("mood", "calm"),
    "dunkel": ("mood", "dark"), "entspannt": ("mood", "relaxing"),
    "schnell": ("mood", "energetic"), "悲伤": ("mood", "melancholic"), "快乐": ("mood", "happy"),
    "轻松": ("mood", "relaxing"), "悲しい": ("mood", "melancholic"), "楽しい": ("mood", "happy"),
    "静かな": ("mood", "calm"), "슬픈": ("mood", "melancholic"), "грустная": ("mood", "melancholic"),
    "весёлая": ("mood", "happy"), "спокойная": ("mood", "calm"), "vals": ("style", "waltz"),
    "valse": ("style", "waltz"), "walzer": ("style", "waltz"), "valzer": ("style", "waltz"),
    "圆舞曲": ("style", "waltz"), "ワルツ": ("style", "waltz"), "вальс": ("style", "waltz"),
    "왈츠": ("style", "waltz"), "fiesta": ("style", "house"), "舞曲": ("style", "house"),
    "tanzmusik": ("style", "house"), "danza": ("style", "house"), "ダンス": ("style", "house"),
    "댄스": ("style", "house"), "ハウス": ("style", "house"), "浩室": ("style", "house"),
    "musique de club": ("style", "house"), "テクノ": ("style", "techno"), "电子": ("style", "techno"),
    "摇滚": ("style", "techno"), "ロック": ("style", "techno"), "рок": ("style", "techno"),
    "техно": ("style", "techno"), "videojuego": ("style", "chiptune"),
    "jeu vidéo": ("style", "chiptune"), "videospiel": ("style", "chiptune"),
    "ゲーム音楽": ("style", "chiptune"), "游戏音乐": ("style", "chiptune"), "게임": ("style", "chiptune"),
    "para dormir": ("style", "ambient"), "pour dormir": ("style", "ambient"),
    "zum einschlafen": ("style", "ambient"), "冥想": ("style", "ambient"),
    "睡眠": ("style", "ambient"), "アンビエント": ("style", "ambient"), "hip-hop": ("style", "lofi"),
    "爵士": ("style", "lofi"), "ジャズ": ("style", "lofi"), "para estudiar": ("style", "lofi"),
    "zum lernen": ("style", "lofi"), "balada": ("style", "lofi"), "재즈": ("style", "lofi"),
}

# Subjects that tell nothing about the style.
TOPICS = [
    "love", "a friend", "my dog", "the moon", "a river", "time", "freedom", "home",
    "a lost letter", "a city", "growing up", "dreams", "a cat", "the future", "my grandmother",
    "a bridge", "the wind", "a secret", "tomorrow", "a garden", "two strangers", "coming back",
    "a lighthouse", "machines", "the color blue", "hope", "money", "a bicycle", "an island",
    "a dragon",
]

# English lines for the lyrics slot; the demo reads them only to tell the language.
LYRIC_WORDS = (
    "I you we the a my your our of in on to and with night light heart love time road home "
    "sky fire rain dance sing hold run away tonight forever never always shine fall rise dream "
    "city river morning eyes hands voice story world alone together again down up through "
    "baby oh yeah know feel want need leave stay believe remember"
).split()
LYRIC_FOREIGN = (
    "la luna y el corazón te quiero siempre noche amor vida la nuit je suis mon coeur toujours "
    "ich bin die nacht herz liebe immer und du il mio cuore sempre notte o meu amor saudade "
    "夜空 我的心 爱你 月亮 星 夢の中 君と 明日 空を 사랑해 밤하늘 마음 ночь моя любовь сердце и я"
).split()
