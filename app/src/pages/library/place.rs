//! Where one is in the library, as the address says it.

use crate::address::{LIBRARY, Query};

/// Search, filter, length of the list and open song.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Words searched for.
    pub query: String,
    /// Only favourites.
    pub favourite: bool,
    /// How many pages of the list are shown.
    pub pages: usize,
    /// The open song.
    pub song: Option<String>,
}

/// The part of a place that decides the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// See [`Place::query`].
    pub query: String,
    /// See [`Place::favourite`].
    pub favourite: bool,
    /// See [`Place::pages`].
    pub pages: usize,
}

impl Place {
    /// Reads the open song and the query of an address.
    pub fn from_address(song: Option<String>, query: &Query) -> Self {
        let text = |key: &str| query.get(key).filter(|value| !value.trim().is_empty());
        Self {
            query: text("q").unwrap_or_default(),
            favourite: text("favourite").is_some(),
            pages: text("pages")
                .and_then(|pages| pages.parse().ok())
                .unwrap_or(1)
                .clamp(1, 200),
            song: song.filter(|song| !song.is_empty()),
        }
    }

    /// The address of this place.
    pub fn address(&self) -> String {
        let mut query = Query::default();
        if !self.query.is_empty() {
            query.add("q", &self.query);
        }
        if self.favourite {
            query.add("favourite", "1");
        }
        if self.pages > 1 {
            query.add("pages", &self.pages.to_string());
        }
        let query = query.text();
        match &self.song {
            Some(song) => format!("{LIBRARY}/{song}{query}"),
            None => format!("{LIBRARY}{query}"),
        }
    }

    /// The address of all songs of this list, as one file.
    pub fn archive(&self) -> String {
        let mut query = Query::default();
        if !self.query.is_empty() {
            query.add("query", &self.query);
        }
        if self.favourite {
            query.add("favourite", "true");
        }
        format!("/api/v1/songs.zip{}", query.text())
    }

    /// The same list with `song` open.
    pub fn with_song(&self, song: &str) -> String {
        Self {
            song: Some(song.to_owned()),
            ..self.clone()
        }
        .address()
    }

    /// The same list with nothing open.
    pub fn back(&self) -> String {
        Self {
            song: None,
            ..self.clone()
        }
        .address()
    }

    /// The same list, one page longer.
    pub fn longer(&self) -> String {
        Self {
            pages: self.pages + 1,
            ..self.clone()
        }
        .address()
    }

    /// What the list shows.
    pub fn list(&self) -> List {
        List {
            query: self.query.clone(),
            favourite: self.favourite,
            pages: self.pages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_the_same_place() {
        let place = Place {
            query: "rain & sea".into(),
            favourite: true,
            pages: 3,
            song: Some("0190".into()),
        };
        let address = place.address();
        let query = address.strip_prefix("/library/0190?").unwrap();
        let back = Place::from_address(place.song.clone(), &Query::of(query));
        assert_eq!(back, place, "{address}");
    }

    #[test]
    fn the_plain_library_has_a_plain_address() {
        let place = Place::from_address(None, &Query::default());
        assert_eq!((place.address().as_str(), place.pages), ("/library", 1));
    }
}
