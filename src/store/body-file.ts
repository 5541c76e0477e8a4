/** The file of a large body. Ids are our own hex, so a name is never a path. */
export function bodyFileName(messageId: string, part: number): string {
  return part === 0 ? messageId : `${messageId}.${part}`;
}

export function messageIdOfFile(name: string): string {
  return name.split(".")[0] ?? name;
}
