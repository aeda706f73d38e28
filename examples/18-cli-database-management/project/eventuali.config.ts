import { defineConfig } from 'eventuali'

// What is appended here is looked at by no program, so no event is defined, and any is taken.
export default defineConfig({
  store: 'shop',
  stores: {
    shop: 'sqlite:shop.db',
    again: 'sqlite:again.db',
    preview: 'sqlite:example_preview',
  },
})
