interface Node {
  readonly type: string
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'

const isFunction = (node: Node): boolean => /^(Function|ArrowFunction)/.test(node.type)

function isPrivate(node: Node): boolean {
  return (
    node.accessibility === 'private' || (isNode(node.key) && node.key.type === 'PrivateIdentifier')
  )
}

/** The parts of a node that callers see: no bodies, no defaults, no values with a written type. */
function seen(node: Node): unknown[] {
  const hidden = new Set<string>()
  if (isFunction(node)) hidden.add('body')
  if (node.type === 'AssignmentPattern') hidden.add('right')
  if (node.type === 'PropertyDefinition' && isNode(node.typeAnnotation)) hidden.add('value')
  if (node.type === 'VariableDeclarator' && isNode(node.id) && isNode(node.id.typeAnnotation)) {
    hidden.add('init')
  }
  return Object.entries(node).flatMap(([key, value]) => (hidden.has(key) ? [] : [value]))
}

const namedBy: Readonly<Record<string, string>> = {
  TSTypeReference: 'typeName',
  TSTypeQuery: 'exprName',
  TSInterfaceHeritage: 'expression',
  TSClassImplements: 'expression',
  ClassDeclaration: 'superClass',
}

/**
 * The names of types that stand in the signature of a declaration. Types must be
 * spelled out to be seen, as `isolatedDeclarations` asks; no compiler is needed then.
 */
export function namesInSignature(declaration: unknown): Set<string> {
  const names = new Set<string>()
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item)
    if (!isNode(value) || isPrivate(value)) return
    const name = value[namedBy[value.type] ?? '']
    if (isNode(name) && name.type === 'Identifier') names.add(String(name.name))
    for (const part of seen(value)) visit(part)
  }
  visit(declaration)
  return names
}
