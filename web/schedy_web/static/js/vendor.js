/** The libraries of others, in one place. */
export {
  Component, createContext, h, html, render, useCallback, useContext, useEffect, useErrorBoundary, useLayoutEffect,
  useMemo, useReducer, useRef, useState,
} from "../vendor/preact-htm-3.1.1.js";
export { default as uPlot } from "../vendor/uplot-1.6.32.js";
