/** What a label of a node may be called, whoever sets it. */
export const LABEL_KEY = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;
export const LABEL_KEY_RULE = 'a label key is 1 to 63 letters, digits or . _ / -';
