import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Java's HttpClient: {@code java Visit.java URL}; says so and fails where an answer is wrong. */
public class Visit {
    static final HttpClient CLIENT =
            HttpClient.newBuilder()
                    .followRedirects(HttpClient.Redirect.NORMAL)
                    .connectTimeout(Duration.ofSeconds(10))
                    .build();

    static HttpRequest.Builder to(String url) {
        return HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20));
    }

    static void must(boolean isSo, String what, Object found) {
        if (!isSo) {
            throw new AssertionError(what + ": " + found);
        }
    }

    static void said(HttpResponse<String> answer, String... words) {
        must(answer.statusCode() == 200, answer.uri().toString(), answer.statusCode());
        must(answer.version() == HttpClient.Version.HTTP_1_1, "version", answer.version());
        for (String word : words) {
            must(answer.body().contains(word), word, answer.body());
        }
    }

    public static void main(String[] arguments) throws Exception {
        String base = arguments[0];
        // It offers HTTP/2 first: h2c by Upgrade over http, h2 by ALPN over https.
        said(CLIENT.send(to(base + "/get?a=b").build(), BodyHandlers.ofString()), "\"a\": \"b\"");
        said(CLIENT.send(to(base + "/redirect/3").build(), BodyHandlers.ofString()), "/get\"");

        HttpRequest post = to(base + "/post").POST(BodyPublishers.ofString("a body")).build();
        said(CLIENT.send(post, BodyHandlers.ofString()), "\"data\": \"a body\"");

        // A length that is not known is sent in chunks.
        byte[] big = "0123456789".repeat(100_000).getBytes();
        HttpRequest chunked =
                to(base + "/post")
                        .expectContinue(true)
                        .POST(BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(big)))
                        .build();
        said(CLIENT.send(chunked, BodyHandlers.ofString()), "\"data\": \"0123456789");

        List<CompletableFuture<HttpResponse<String>>> many = new ArrayList<>();
        for (int number = 0; number < 50; number++) {
            HttpRequest one = to(base + "/get?n=" + number).build();
            many.add(CLIENT.sendAsync(one, BodyHandlers.ofString()));
        }
        for (int number = 0; number < 50; number++) {
            said(many.get(number).join(), "\"n\": \"" + number + "\"");
        }

        HttpResponse<byte[]> bytes =
                CLIENT.send(to(base + "/stream-bytes/100000").build(), BodyHandlers.ofByteArray());
        must(bytes.body().length == 100_000, "length", bytes.body().length);
        talk(base.replaceFirst("http", "ws") + "/websocket/echo");
        System.out.println("visited");
    }

    /** Says something as text and as bytes, hears it again, and leaves as one should. */
    static void talk(String url) throws Exception {
        LinkedBlockingQueue<String> heard = new LinkedBlockingQueue<>();
        WebSocket.Listener listener =
                new WebSocket.Listener() {
                    private final StringBuilder text = new StringBuilder();

                    @Override
                    public CompletionStage<?> onText(WebSocket ws, CharSequence data, boolean last) {
                        text.append(data);
                        if (last) {
                            heard.add(text.toString());
                            text.setLength(0);
                        }
                        ws.request(1);
                        return null;
                    }

                    @Override
                    public CompletionStage<?> onBinary(WebSocket ws, ByteBuffer data, boolean last) {
                        heard.add(data.remaining() + " bytes");
                        ws.request(1);
                        return null;
                    }

                    @Override
                    public CompletionStage<?> onPong(WebSocket ws, ByteBuffer data) {
                        heard.add("pong");
                        ws.request(1);
                        return null;
                    }

                    @Override
                    public CompletionStage<?> onClose(WebSocket ws, int code, String reason) {
                        heard.add("closed " + code + " " + reason);
                        return null;
                    }

                    @Override
                    public void onError(WebSocket ws, Throwable error) {
                        heard.add(error.toString());
                    }
                };
        WebSocket socket =
                CLIENT.newWebSocketBuilder().buildAsync(URI.create(url), listener).join();
        String big = "\u00e9".repeat(50_000);
        String[] wanted = {"hello", big, "3 bytes"};
        socket.sendText("hel", false).join();
        socket.sendText("lo", true).join();
        socket.sendText(big, true).join();
        socket.sendBinary(ByteBuffer.wrap(new byte[3]), true).join();
        for (int number = 0; number < 3; number++) {
            String found = heard.poll(10, TimeUnit.SECONDS);
            must(wanted[number].equals(found), "message " + number, found);
        }
        socket.sendPing(ByteBuffer.wrap(new byte[] {1})).join();
        must("pong".equals(heard.poll(10, TimeUnit.SECONDS)), "pong", heard);
        socket.sendClose(1000, "bye").join();
        String end = heard.poll(10, TimeUnit.SECONDS);
        must(end != null && end.startsWith("closed 1000"), "close", end);
    }
}
