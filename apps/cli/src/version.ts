/** Of this program: what it says of itself, and what it signs results as. */
export const VERSION = '0.1.0';
