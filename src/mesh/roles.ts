/** What a member may do. Each role may do all that the ones after it may. */
export type Role = 'voter' | 'worker' | 'submitter' | 'observer';

/** From most to least. */
export const ROLES: readonly Role[] = ['voter', 'worker', 'submitter', 'observer'];

/** @returns whether somebody with `role` may do what `needed` may do. */
export function roleAllows(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) <= ROLES.indexOf(needed);
}

export function isRole(text: unknown): text is Role {
  return ROLES.includes(text as Role);
}
