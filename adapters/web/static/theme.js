/* Runs before the first paint, so that the page never flashes in the wrong colours. */
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem("shifu.theme");
    } catch {
      return null; // An embedded page may have no storage.
    }
  };
  const apply = () => {
    document.documentElement.dataset.theme = stored() ?? (system.matches ? "dark" : "light");
  };
  system.addEventListener("change", apply);
  apply();
})();
