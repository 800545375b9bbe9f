import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Asks with the JDK's own client: once as HTTP/1.1, once as it comes, which offers an upgrade to
 * h2c that a server may decline. Prints JSON. */
public class HttpHello {
    static String ask(String url, HttpClient.Version version) throws Exception {
        HttpClient client = HttpClient.newBuilder().version(version).build();
        StringBuilder bodies = new StringBuilder();
        HttpResponse<String> last = null;
        for (int i = 0; i < 3; i++) { // the second and third go over the kept connection
            last = client.send(HttpRequest.newBuilder(URI.create(url)).build(),
                               HttpResponse.BodyHandlers.ofString());
            bodies.append(last.body()).append('|');
        }
        return String.format("{\"status\":%d,\"requestId\":\"%s\",\"bodies\":\"%s\"}",
                             last.statusCode(),
                             last.headers().firstValue("x-request-id").orElse(""),
                             bodies.toString().replace("\n", "\\n"));
    }

    public static void main(String[] args) throws Exception {
        System.out.printf("{\"http1\":%s,\"upgrade\":%s}%n",
                          ask(args[0], HttpClient.Version.HTTP_1_1),
                          ask(args[0], HttpClient.Version.HTTP_2));
    }
}
