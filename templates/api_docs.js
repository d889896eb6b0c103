"use strict";

SwaggerUIBundle({
  url: "{{ schema_url|escapejs }}",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  requestInterceptor: (request) => {
    // Whoever reads this page has signed in; what changes something needs the token against forgery.
    if (!["GET", undefined].includes(request.method) && new URL(request.url, document.baseURI).origin === location.origin) {
      request.headers["{{ csrf_header_name }}"] = "{{ csrf_token }}";
    }
    return request;
  },
  ...{{ settings|safe }},
});
