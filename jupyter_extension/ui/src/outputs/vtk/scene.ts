/** The only module that touches vtk.js; it is loaded when the first data set is opened. */
import '@kitware/vtk.js/Rendering/OpenGL/Actor.js';
import '@kitware/vtk.js/Rendering/OpenGL/Camera.js';
import '@kitware/vtk.js/Rendering/OpenGL/PolyDataMapper.js';
import '@kitware/vtk.js/Rendering/OpenGL/Renderer.js';

import vtkDataArray from '@kitware/vtk.js/Common/Core/DataArray.js';
import vtkPolyData from '@kitware/vtk.js/Common/DataModel/PolyData.js';
import vtkInteractorStyleTrackballCamera from '@kitware/vtk.js/Interaction/Style/InteractorStyleTrackballCamera.js';
import vtkActor from '@kitware/vtk.js/Rendering/Core/Actor.js';
import vtkColorTransferFunction from '@kitware/vtk.js/Rendering/Core/ColorTransferFunction.js';
import vtkMapper from '@kitware/vtk.js/Rendering/Core/Mapper.js';
import vtkRenderWindow from '@kitware/vtk.js/Rendering/Core/RenderWindow.js';
import vtkRenderWindowInteractor from '@kitware/vtk.js/Rendering/Core/RenderWindowInteractor.js';
import vtkRenderer from '@kitware/vtk.js/Rendering/Core/Renderer.js';
import vtkOpenGLRenderWindow from '@kitware/vtk.js/Rendering/OpenGL/RenderWindow.js';

import { COLOUR_MAPS, partsOf } from './colours';
import type { Surface } from './surface';

export interface Drawing {
  surface: Surface;
  /** One value a point or a cell; null: one colour for all. */
  values: Float32Array | null;
  on: 'points' | 'cells';
  range: [number, number];
  colours: string;
  edges: boolean;
}

export function webglMissing(): boolean {
  const context = document.createElement('canvas').getContext('webgl2');
  context?.getExtension('WEBGL_lose_context')?.loseContext();
  return context === null;
}

/** A surface in an element, turned by mouse and keys. */
export class Scene {
  private readonly renderer = vtkRenderer.newInstance({ background: [0, 0, 0] });
  private readonly window = vtkRenderWindow.newInstance();
  private readonly view = vtkOpenGLRenderWindow.newInstance();
  private readonly interactor = vtkRenderWindowInteractor.newInstance();
  private readonly actor = vtkActor.newInstance();
  private readonly mapper = vtkMapper.newInstance({ interpolateScalarsBeforeMapping: true });
  private drawn: vtkPolyData | null = null;
  private readonly observer: ResizeObserver;

  constructor(private readonly element: HTMLElement) {
    this.window.addRenderer(this.renderer);
    this.window.addView(this.view);
    this.view.setContainer(element);
    this.interactor.setView(this.view);
    this.interactor.initialize();
    this.interactor.setInteractorStyle(vtkInteractorStyleTrackballCamera.newInstance());
    this.interactor.setContainer(element);
    this.actor.setMapper(this.mapper);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(element);
    this.resize();
  }

  /** Draw something instead of what was drawn; the view stays where it is. */
  show(drawing: Drawing): void {
    const { surface, values } = drawing;
    const first = this.drawn === null;
    const data = vtkPolyData.newInstance();
    data.getPoints().setData(surface.points, 3);
    data.getVerts().setData(surface.verts);
    data.getLines().setData(surface.lines);
    data.getPolys().setData(surface.polys);
    if (values) {
      const array = vtkDataArray.newInstance({ name: 'values', values, numberOfComponents: 1 });
      (drawing.on === 'points' ? data.getPointData() : data.getCellData()).setScalars(array);
    }
    this.mapper.setScalarVisibility(values !== null);
    if (drawing.on === 'points') {
      this.mapper.setScalarModeToUsePointData();
    } else {
      this.mapper.setScalarModeToUseCellData();
    }
    this.mapper.setLookupTable(lookupTable(drawing.colours, drawing.range));
    this.mapper.setUseLookupTableScalarRange(true);
    this.mapper.setInputData(data);
    const property = this.actor.getProperty();
    property.setEdgeVisibility(drawing.edges);
    // Flat colours: shading would change what the legend says.
    property.setAmbient(values ? 1 : 0.3);
    property.setDiffuse(values ? 0 : 0.7);
    property.setPointSize(4);
    this.drawn?.delete();
    this.drawn = data;
    if (first) {
      // Not before: without data there is nothing to draw, and vtk.js complains.
      this.renderer.addActor(this.actor);
      this.resetView();
    } else {
      this.renderer.resetCameraClippingRange();
      this.window.render();
    }
  }

  /** Look at everything; flat things from their broad side, others a little from above. */
  resetView(): void {
    const bounds = this.drawn?.getBounds() ?? [-1, 1, -1, 1, -1, 1];
    const sizes = [0, 1, 2].map(axis => (bounds[2 * axis + 1] ?? 0) - (bounds[2 * axis] ?? 0));
    const thin = sizes.indexOf(Math.min(...sizes));
    const flat = (sizes[thin] ?? 0) <= 0.25 * Math.max(...sizes);
    const camera = this.renderer.getActiveCamera();
    const centre = [0, 1, 2].map(
      axis => ((bounds[2 * axis] ?? 0) + (bounds[2 * axis + 1] ?? 0)) / 2,
    );
    const towards = flat
      ? [0, 1, 2].map(axis => (axis === thin ? (axis === 1 ? -1 : 1) : 0))
      : [0.6, 0.4, 0.7];
    const up = flat && thin !== 2 ? [0, 0, 1] : [0, 1, 0];
    camera.setFocalPoint(centre[0] ?? 0, centre[1] ?? 0, centre[2] ?? 0);
    camera.setPosition(
      (centre[0] ?? 0) + (towards[0] ?? 0),
      (centre[1] ?? 0) + (towards[1] ?? 0),
      (centre[2] ?? 0) + (towards[2] ?? 0),
    );
    camera.setViewUp(up[0] ?? 0, up[1] ?? 1, up[2] ?? 0);
    this.renderer.resetCamera();
    this.window.render();
  }

  /** Turn by degrees, for keys. */
  turn(across: number, up: number): void {
    const camera = this.renderer.getActiveCamera();
    camera.azimuth(across);
    camera.elevation(up);
    camera.orthogonalizeViewUp();
    this.renderer.resetCameraClippingRange();
    this.window.render();
  }

  zoom(factor: number): void {
    this.renderer.getActiveCamera().dolly(factor);
    this.renderer.resetCameraClippingRange();
    this.window.render();
  }

  setBackground(colour: [number, number, number]): void {
    this.renderer.setBackground(colour);
    this.window.render();
  }

  dispose(): void {
    this.observer.disconnect();
    this.interactor.setContainer(null);
    this.drawn?.delete();
    this.actor.delete();
    this.mapper.delete();
    this.interactor.delete();
    this.renderer.delete();
    this.window.delete();
    this.view.setContainer(null);
    this.view.delete();
  }

  private resize(): void {
    const { width, height } = this.element.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.view.setSize(
      Math.max(1, Math.floor(width * ratio)),
      Math.max(1, Math.floor(height * ratio)),
    );
    this.window.render();
  }
}

function lookupTable(name: string, [low, high]: [number, number]): vtkColorTransferFunction {
  const table = vtkColorTransferFunction.newInstance();
  const colours = COLOUR_MAPS[name] ?? COLOUR_MAPS.viridis ?? [];
  const width = high > low ? high - low : 1;
  for (const [number, colour] of colours.entries()) {
    table.addRGBPoint(low + (number / (colours.length - 1)) * width, ...partsOf(colour));
  }
  table.setMappingRange(low, low + width);
  table.updateRange();
  return table;
}
