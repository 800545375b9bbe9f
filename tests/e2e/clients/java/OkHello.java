import java.util.List;
import okhttp3.OkHttpClient;
import okhttp3.Protocol;
import okhttp3.Request;
import okhttp3.Response;

/** Asks with OkHttp: HTTP/1.1, and HTTP/2 by prior knowledge. Prints JSON. */
public class OkHello {
    static String ask(String url, List<Protocol> protocols) throws Exception {
        OkHttpClient client = new OkHttpClient.Builder().protocols(protocols).build();
        try (Response r = client.newCall(new Request.Builder().url(url).build()).execute()) {
            return String.format("{\"status\":%d,\"protocol\":\"%s\",\"body\":\"%s\"}", r.code(),
                                 r.protocol(), r.body().string().replace("\n", "\\n"));
        } finally {
            client.dispatcher().executorService().shutdown();
            client.connectionPool().evictAll();
        }
    }

    public static void main(String[] args) throws Exception {
        System.out.printf("{\"http1\":%s,\"http2\":%s}%n",
                          ask(args[0], List.of(Protocol.HTTP_1_1)),
                          ask(args[0], List.of(Protocol.H2_PRIOR_KNOWLEDGE)));
    }
}
