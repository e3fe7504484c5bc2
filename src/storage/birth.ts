/** There in every store that began its life under its owner's eyes: an empty store without it is one whose contents are lost. */
export const BIRTH_KEY = 'd/birth';
