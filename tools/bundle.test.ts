import { expect, test } from 'vitest'
import { doorsOf, renamedClasses } from './bundle.ts'

test('the doors of a package are what its exports have types for', () => {
  const exports = {
    '.': { types: './dist/index.d.ts', default: './bundle/index.js' },
    './client': {
      types: './dist/stores/http/index.d.ts',
      default: './bundle/stores/http/index.js',
    },
    './package.json': './package.json',
  }
  expect(doorsOf(exports)).toEqual(['index', 'stores/http/index'])
})

test('a class that joining has renamed is seen', () => {
  const code = 'class Lane {}\nclass Lane$1 extends Lane {}\nfunction wrap$1() {}\n'
  expect(renamedClasses(code)).toEqual(['Lane$1'])
})
