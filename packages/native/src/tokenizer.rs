//! The `tokenizers` crate, without truncation and padding, which belong to the data pipeline. It panics on some files that
//! it should refuse; the user sees that as an error about the file.

use tokenizers::Tokenizer as Inner;

use crate::panics::quietly;

pub struct Tokenizer(Inner);

/// Ids of several texts, one after the other.
pub struct Encoded {
    pub ids: Vec<i32>,
    pub lengths: Vec<i32>,
}

fn to_i32(ids: &[u32]) -> impl Iterator<Item = i32> + '_ {
    ids.iter().map(|id| *id as i32)
}

impl Tokenizer {
    /// From the contents of a tokenizer.json.
    pub fn from_json(bytes: &[u8]) -> Result<Tokenizer, String> {
        quietly(|| {
            let mut inner = Inner::from_bytes(bytes).map_err(|e| e.to_string())?;
            inner.with_truncation(None).map_err(|e| e.to_string())?;
            inner.with_padding(None);
            Ok(Tokenizer(inner))
        })
    }

    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<i32>, String> {
        quietly(|| {
            let encoding = self.0.encode_fast(text, add_special_tokens).map_err(|e| e.to_string())?;
            Ok(to_i32(encoding.get_ids()).collect())
        })
    }

    /// On all cores.
    pub fn encode_batch(&self, texts: Vec<String>, add_special_tokens: bool) -> Result<Encoded, String> {
        let encodings = quietly(|| self.0.encode_batch_fast(texts, add_special_tokens).map_err(|e| e.to_string()))?;
        let mut ids = Vec::with_capacity(encodings.iter().map(|e| e.len()).sum());
        encodings.iter().for_each(|e| ids.extend(to_i32(e.get_ids())));
        Ok(Encoded { ids, lengths: encodings.iter().map(|e| e.len() as i32).collect() })
    }

    pub fn decode(&self, ids: &[i32], skip_special_tokens: bool) -> Result<String, String> {
        let ids: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
        quietly(|| self.0.decode(&ids, skip_special_tokens).map_err(|e| e.to_string()))
    }

    pub fn vocab_size(&self, with_added: bool) -> usize {
        self.0.get_vocab_size(with_added)
    }

    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.0.token_to_id(token)
    }

    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.0.id_to_token(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = r#"{
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 },
        "padding": {
            "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[UNK]"
        },
        "added_tokens": [{
            "id": 4, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        }],
        "normalizer": null,
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null,
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": { "[UNK]": 0, "one": 1, "two": 2, "three": 3 }, "unk_token": "[UNK]" }
    }"#;

    #[test]
    fn truncation_and_padding_of_the_file_are_off() {
        let tokenizer = Tokenizer::from_json(WORDS.as_bytes()).unwrap();
        assert_eq!(tokenizer.encode("three two one four", false).unwrap(), [3, 2, 1, 0]);
        assert_eq!(tokenizer.encode("one", false).unwrap(), [1]);
    }

    #[test]
    fn a_batch_is_the_texts_one_after_the_other() {
        let tokenizer = Tokenizer::from_json(WORDS.as_bytes()).unwrap();
        let texts = ["one two", "", "<s>three"].map(String::from).to_vec();
        let encoded = tokenizer.encode_batch(texts, true).unwrap();
        assert_eq!(encoded.ids, [1, 2, 4, 3]);
        assert_eq!(encoded.lengths, [2, 0, 2]);
    }

    #[test]
    fn special_tokens_can_be_left_out_of_the_text() {
        let tokenizer = Tokenizer::from_json(WORDS.as_bytes()).unwrap();
        assert_eq!(tokenizer.decode(&[4, 1, 2], true).unwrap(), "one two");
        assert_eq!(tokenizer.decode(&[4, 1, 2], false).unwrap(), "<s> one two");
        assert_eq!((tokenizer.vocab_size(false), tokenizer.vocab_size(true)), (4, 5));
        assert_eq!(tokenizer.token_to_id("<s>"), Some(4));
        assert_eq!(tokenizer.id_to_token(3).as_deref(), Some("three"));
        assert_eq!(tokenizer.token_to_id("absent"), None);
    }

    #[test]
    fn a_panic_of_the_crate_is_an_error() {
        let chunks = r#""pre_tokenizer": { "type": "FixedLength", "length": 0 }"#;
        let json = WORDS.replace(r#""pre_tokenizer": { "type": "Whitespace" }"#, chunks);
        let tokenizer = Tokenizer::from_json(json.as_bytes()).unwrap();
        assert!(tokenizer.encode("one", false).is_err());
        assert!(tokenizer.encode_batch(vec!["one".to_string(), "two".to_string()], false).is_err());
    }

    #[test]
    fn json_that_is_no_tokenizer_is_an_error() {
        assert!(Tokenizer::from_json(b"{}").is_err());
    }
}
