declare const verified: unique symbol;

/** A value whose origin has been authenticated. Only the function that checked it may mint one. */
export type Verified<T> = T & { readonly [verified]: true };

/** Marks a value as authenticated. Call it in one place per message kind, right after the signature check. */
export function mintVerified<T>(value: T): Verified<T> {
  return value as Verified<T>;
}
