/** An id of a node, wherever it stands in a text. */
export const PEER_ID = /\b12D3KooW[1-9A-HJ-NP-Za-km-z]{44}\b/;
/** A text that is one, and nothing else. */
export const WHOLE_PEER_ID = new RegExp(`^${PEER_ID.source}$`);
