/**
 * What real makers' certificates do although RFC 5280 or X.690 says otherwise. Each is read, told as a finding and
 * never believed to mean more; whatever is not in this table refuses the certificate. [EK-11]
 */
export const EK_QUIRKS = {
  'default-encoded': {
    makers: ['Intel'],
    what: 'an extension says "not critical" where DER leaves a default out',
    source: 'keylime/keylime issue 1027: a PTT certificate of Intel, extension 2.5.29.9',
  },
  'name-unsorted': {
    makers: ['Nuvoton'],
    what: 'the attributes of one relative name are not in the order of DER; names are compared as sets',
    source: 'keylime/keylime issues 944 and 1775',
  },
  'oaep-key': {
    makers: ['Infineon'],
    what: 'the key is declared as id-RSAES-OAEP (RFC 4055, 4.1); it is the RSA key that the TPM shows',
    source: 'OPTIGA SLB 9645 to 9665, RFC 4055',
  },
} as const;

/** The id of an oddity in a maker's certificates [EK-11]. */
export type EkQuirk = keyof typeof EK_QUIRKS;
