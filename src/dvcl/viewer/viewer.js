"use strict";
// Shows the cases of a page with NiiVue, which is unpacked when a reader asks for it.
(() => {
  const VIEWS = { "planes and 3-D": 3, "transverse": 0, "coronal": 1, "sagittal": 2, "3-D": 4 };
  // What a map and the reference say of a voxel; blue and orange are told apart by everybody.
  const DIFFERENCES = [
    ["agree", [190, 190, 190, 110]],
    ["missed", [86, 180, 233, 255]],
    ["too much", [230, 110, 0, 255]],
    ["another organ", [240, 228, 66, 255]],
  ];
  const HOW = "Click a plane, then turn the wheel to scroll; drag with the right button for contrast; "
    + "drag the 3-D view to turn it. R is the patient's right. ";
  // Depth, azimuth and elevation: the 3-D view shows the body's back half, and organs whole.
  const CLIP = [0, 180, 0];
  const CAMERA = [160, 10]; // azimuth and elevation: from the front and a little from the side

  function make(tag, settings = {}, ...children) {
    const element = Object.assign(document.createElement(tag), settings);
    element.append(...children);
    return element;
  }

  function choice(name, options, chosen, onchange) {
    const list = make("select", {}, ...options.map((text) => make("option", {}, text)));
    list.setAttribute("aria-label", name);
    list.selectedIndex = chosen;
    list.onchange = () => onchange(list.selectedIndex);
    return make("label", { hidden: options.length < 2 }, name, list);
  }

  function swatch(colour) {
    const square = make("i");
    square.style.background = `rgb(${colour.slice(0, 3)})`;
    return square;
  }

  const rgb = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
  const volume = (ml) => (ml ? `${ml >= 10 ? ml.toFixed(0) : ml.toPrecision(2)} ml` : "absent");

  async function loadEngine(packed) {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    document.head.append(make("script", { textContent: await new Response(stream).text() }));
  }

  class Viewer {
    constructor(figure) {
      this.cases = [...figure.querySelectorAll("script.scene")];
      this.canvas = make("canvas", { tabIndex: 0 });
      this.canvas.setAttribute("aria-label", "Planes of the scan and a 3-D view");
      this.bar = make("div", { className: "bar" });
      this.place = make("p", { className: "place" });
      this.organs = make("div", { className: "organs" });
      this.how = make("p", { className: "how" });
      figure.append(this.bar, make("div", { className: "stage" }, this.canvas), this.place,
        this.organs, this.how);
    }

    async open() {
      this.niivue = new niivue.Niivue({
        isRadiologicalConvention: true, sagittalNoseLeft: true, isSliceMM: true, multiplanarLayout: 2,
        multiplanarShowRender: 1, sliceType: VIEWS["planes and 3-D"], isOrientationTextVisible: true,
        isCornerOrientationText: true, multiplanarPadPixels: 6, backColor: [0, 0, 0, 1],
        crosshairWidth: 0.1, crosshairWidthUnit: "percent", crosshairColor: [1, 1, 1, 0.5],
        fontColor: [1, 1, 1, 1],
        clipPlaneColor: [0, 0, 0, 0], scrollRequiresFocus: true, dragAndDropEnabled: false,
        logLevel: "error", loadingText: "",
      });
      await this.niivue.attachToCanvas(this.canvas);
      this.niivue.onLocationChange = (where) => this.tell(where);
      await this.load(0);
    }

    async load(index) {
      const scene = this.scene = JSON.parse(this.cases[index].textContent);
      const read = (base64, name, more = {}) =>
        niivue.NVImage.loadFromBase64({ base64, name: `${name}.nii.gz`, ...more });
      const [[, window]] = Object.entries(scene.windows);
      this.image = await read(scene.image, "scan",
        { colormap: "gray", cal_min: window[0], cal_max: window[1], trustCalMinMax: false });
      this.labels = await Promise.all(scene.label_maps.map(({ data, name }) => read(data, name)));
      this.maps = await Promise.all(scene.maps.map(({ data, name }) =>
        read(data, name, { colormap: "warm", cal_min: 0.05, cal_max: 1, opacity: 0 })));
      // What is drawn is a map of its own, filled anew with what is chosen.
      this.drawn = this.labels.length ? await read(scene.label_maps[0].data, "drawn") : null;
      this.reference = scene.label_maps.findIndex((map) => map.is_reference);
      Object.assign(this, { index, chosen: 0, differences: false, opacity: 0.5 });
      this.shown = scene.organs.map(() => true);
      this.niivue.volumes.slice().forEach((old) => this.niivue.removeVolume(old));
      for (const part of [this.image, this.drawn, ...this.maps]) if (part) this.niivue.addVolume(part);
      this.niivue.setClipPlane(CLIP);
      this.niivue.setRenderAzimuthElevation(...CAMERA);
      this.niivue.scene.crosshairPos = this.niivue.mm2frac(scene.start_mm);
      this.how.textContent = HOW + `Voxels are ${scene.spacing_mm.map((mm) => mm.toFixed(1)).join(" x ")} mm `
        + "here (z, y, x); volumes are those of the file. This page holds scans: pass it on as you would them.";
      this.paint();
      this.niivue.createOnLocationChange();
      this.name = this.cases[index].dataset.title;
    }

    // NiiVue takes the colours of labels from a table; hidden organs are transparent there.
    paint() {
      if (this.drawn) {
        const colours = this.differences
          ? DIFFERENCES.map(([, colour]) => colour)
          : this.scene.organs.map(({ colour }, at) => [...rgb(colour), this.shown[at] ? 255 : 0]);
        const table = [[0, 0, 0, 0], ...colours];
        const [R, G, B, A] = [0, 1, 2, 3].map((channel) => table.map((colour) => colour[channel]));
        this.drawn.img.set(this.differences ? this.compared() : this.labels[this.chosen].img);
        this.drawn.setColormapLabel(
          { R, G, B, A, I: table.map((_, at) => at), labels: table.map(() => "") });
        this.drawn.opacity = this.opacity;
      }
      this.niivue.updateGLVolume();
      this.fillBar();
      this.fillOrgans();
    }

    compared() {
      const wanted = this.labels[this.reference].img;
      const isShown = [false, ...this.shown];
      return this.labels[this.chosen].img.map((found, voxel) => {
        const right = wanted[voxel];
        if (!isShown[found] && !isShown[right]) return 0;
        if (found === right) return 1;
        return found === 0 ? 2 : right === 0 ? 3 : 4;
      });
    }

    tell({ mm, values }) {
      const letters = ["LR", "PA", "IS"];
      const place = [...mm].slice(0, 3).map(
        (at, axis) => `${letters[axis][Number(at >= 0)]} ${Math.abs(at).toFixed(0)}`);
      const level = values[0].value;
      const grey = this.scene.unit === "HU" ? `${level.toFixed(0)} HU` : level.toPrecision(3);
      const said = this.labels.map((map, at) => {
        const organ = this.scene.organs[map.getValue(...map.mm2vox(mm)) - 1];
        return `${this.scene.label_maps[at].name}: ${organ ? organ.name : "no organ"}`;
      });
      this.place.textContent = [`${place.join(", ")} mm`, grey, ...said].join(" · ");
    }

    fillBar() {
      const windows = Object.entries(this.scene.windows);
      const parts = [
        choice("Case", this.cases.map(({ dataset }) => dataset.title), this.index, (at) => this.load(at)),
        choice("View", Object.keys(VIEWS), Object.values(VIEWS).indexOf(this.niivue.opts.sliceType),
          (at) => this.niivue.setSliceType(Object.values(VIEWS)[at])),
        choice("Window", windows.map(([name]) => name),
          windows.findIndex(([, [low, high]]) => low === this.image.cal_min && high === this.image.cal_max),
          (at) => { [this.image.cal_min, this.image.cal_max] = windows[at][1]; this.niivue.updateGLVolume(); }),
      ];
      if (this.drawn) parts.push(...this.organControls());
      this.maps.forEach((map, at) => parts.push(this.slider(this.scene.maps[at].name, map)));
      this.bar.replaceChildren(...parts);
    }

    organControls() {
      const names = this.scene.label_maps.map(({ name }) => name);
      const set = (changes) => { Object.assign(this, changes); this.paint(); };
      const canCompare = this.reference >= 0 && this.chosen !== this.reference;
      const box = make("input", { type: "checkbox", checked: this.differences });
      box.onchange = () => set({ differences: box.checked });
      return [
        choice("Organs of", names, this.chosen,
          (at) => set({ chosen: at, differences: this.differences && at !== this.reference })),
        make("label", { hidden: !canCompare }, box, "differences from the reference"),
        this.slider("Opacity", this.drawn, (opacity) => { this.opacity = opacity; }),
      ];
    }

    slider(name, part, then = () => {}) {
      const range = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: part.opacity });
      range.setAttribute("aria-label", name);
      range.oninput = () => {
        part.opacity = range.valueAsNumber;
        then(part.opacity);
        this.niivue.updateGLVolume();
      };
      return make("label", {}, name, range);
    }

    fillOrgans() {
      if (!this.drawn) return this.organs.replaceChildren();
      const volumes = this.scene.label_maps[this.chosen].volumes_ml;
      const show = (change) => () => { change(); this.paint(); };
      const boxes = this.scene.organs.map(({ name, colour }, at) => {
        const box = make("input", { type: "checkbox", checked: this.shown[at] });
        box.onchange = show(() => { this.shown[at] = box.checked; });
        return make("label", {}, box, swatch(rgb(colour)), name, make("small", {}, volume(volumes[at])));
      });
      const button = (text, value) =>
        make("button", { type: "button", textContent: text, onclick: show(() => this.shown.fill(value)) });
      const legend = this.differences
        ? DIFFERENCES.map(([name, colour]) => make("span", { className: "legend" }, swatch(colour), name))
        : [];
      this.organs.replaceChildren(button("all", true), button("none", false), ...legend, ...boxes);
    }
  }

  const figure = document.currentScript.closest(".viewer");
  const start = figure.querySelector(".start");

  async function open() {
    start.textContent = "One moment …";
    try {
      await loadEngine(figure.querySelector("script.engine").textContent);
      figure.viewer = new Viewer(figure); // also for the browser's console
      await figure.viewer.open();
      start.hidden = true;
    } catch (error) {
      start.textContent = `The viewer does not start here (${error.message}); the pictures of this page remain.`;
      throw error;
    }
  }

  if (window.DecompressionStream && document.createElement("canvas").getContext("webgl2")) {
    start.replaceChildren(make("button", { type: "button", onclick: open }, "Scroll through the scans"));
  } else {
    start.textContent = "This browser has no WebGL 2: the pictures of this page show what there is to see.";
  }
})();
