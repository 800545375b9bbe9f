"""PromQL expressions for comparing our parser with Prometheus's.

hand_cases() are written by hand, one behaviour each; generated() makes others from a grammar, and
breaks some of them. Which of them are right is for the parsers to say.
"""

import random

VALID = r'''
1
+1
-1
- -1
.5
5.
123.4567
5e-3
5E+3
1e5
0x1F
0xFF_FF
0X_1F
017
08
1_000
1_000.5
1_000e1_0
+Inf
-Inf
inf
NaN
nan
1m
1h30m
-5m
2w
1y
10ms
1y2w3d4h5m6s7ms
1 + 1
1 - 1
1 * 1
1 % 1
1 / 1
1 ^ 1
1 == bool 1
1 != bool 1
1 > bool 1
1 >= bool 1
1 < bool 1
1 <= bool 1
-1^2
-1*2
-1+2
-a^2
-a*2
a^-b^c
2^3^2
a-b-c
a/b/c
a*b+c*d
a+b*c^d
a atan2 b
a ATAN2 b
a or b and c
a and b or c unless d
a == b + c
a > bool b
(1)
((1))
(a)
+(a)
-(a)
--a
-+-a
+-1
foo
foo:bar
:foo
foo_bar
_
up{}
foo{a="b"}
foo{a="b",}
foo{a='b'}
foo{a=`b`}
foo{a!="b"}
foo{a=~"b"}
foo{a!~"b"}
foo{a="b",c!="d",e=~"f",g!~"h"}
foo { a = "b" , c = "d" }
{a="b"}
{__name__="foo"}
{__name__=~"foo.*"}
{"foo"}
{"foo",a="b"}
{a="b","foo"}
{"foo.bar","a.b"="c"}
{"a b"="c"}
{'foo'}
{`foo`}
{"foo\nbar"}
{"föö",ü_x="a"}
foo{"a.b"="c"}
foo{""="c"}
foo{sum="a",by="b",offset="c",on="d"}
foo{z="1",a="2",m="3"}
{a=~".+"}
{a!=""}
foo{a=~"(x|y)"}
foo{a="\"\\\a\b\f\n\r\t\v\x41\101\u00e9\U0001F600"}
foo{a='\''}
foo{a="ä€𝄞"}
"string"
'string'
`raw\n`
"a\tb"
"<&>"
"{{ $x }}"
foo[5m]
foo[1h30m]
foo[300]
foo[0.5]
foo[5m:1m]
foo[5m:]
foo[5m : 1m]
foo[ 5m ]
foo{a="b"}[5m]
(foo)[5m:]
rate(foo[5m])[1h:1m]
foo[5m] offset 1h
foo offset 5m
foo offset -5m
foo offset 0s
foo offset 300
foo offset -0.5
foo offset +5m
foo offset 1h30m
foo offset 5m offset 0
foo[5m:1m] offset 1h
foo @ 123
foo @ 123.456
foo @ -5
foo @ +5
foo @ 0x10
foo @ 5m
foo @ 1e9
foo @ start()
foo @ end()
foo @start( )
foo[5m] @ 5
foo[5m:1m] @ end()
foo @ 5 offset 1m
foo offset 1m @ 5
foo[5m] @ 5 offset 1m
foo[5m:1m] offset 1m @ start()
-foo @ 5
-foo[5m:]
a + b offset 5m
a + b @ 5
a[5m*2]
a[5m * 2 + 1m]
a[(5m)]
a[((5m))]
a[-5m+10m]
a[2^3]
a[5m%2m]
a[1h/2]
a[step()]
a[range()]
a[step()*2]
a[min_of(step(), 5m)]
a[max_of(step()*2, range()/4)]
a[MAX_OF(1,2)]
a[5m+step()]
a[5m:step()]
a[5m:5m/2]
a[range():step()]
a[min_of(1m,2m):max_of(step(),15s)]
a[-(5m)]
a[-step()]
a[+step()]
a[--5m]
a offset (5m)
a offset (1h/2)
a offset -(1h/2)
a offset +(5m*2)
a offset step()
a offset -step()
a offset +step()
a offset range()
a offset -range()
a offset min_of(1m,2m)
a offset -max_of(step(),2m)
a offset 5m*2
a offset 5m^2
a offset -2^2
a offset (5m)*2
a offset (5m)^2+1
a offset - -5m
a offset -(5m)
a offset - (step() + 5m)
a offset (5m) + b
a[5m] offset (1m*3)
a[5m:] offset (step())
sum(a)
SUM(a)
Sum By (x) (a)
sum by (x) (a)
sum(a) by (x)
sum without (x) (a)
sum(a) without (x)
sum by () (a)
sum without () (a)
sum by (x,) (a)
sum by (x,y , z) (a)
sum by ("a.b", c) (a)
sum by (by, on, sum, offset, bool, group_left, start, step, min_of, fill, and) (a)
sum by (a:b) (c)
avg(a)
count(a)
min(a)
max(a)
group(a)
stddev(a)
stdvar(a)
topk(5, a)
bottomk(5, a)
topk by (x) (5, a)
topk(5, a) by (x)
count_values("v", a)
count_values by (x) ("v", a)
quantile(0.9, a)
quantile(scalar(b), a)
limitk(2, a)
limit_ratio(-0.5, a)
limitk(2, a) by (x)
sum(sum(a))
sum(sum(a) )
sum((a))
sum(rate(a[5m])) by (x)
sum by (x) (rate(a[5m])) / on (x) group_left (y) sum by (x) (b)
sum
by
sum{a="b"}
min + max
offset
offset offset 5m
start
end
step
range + step
bottomk
by{a="b"}
without
and
or or or
unless unless unless
fill
fill + fill
fill_left{a="b"}
anchored
smoothed
max_of
min_of{a="b"}
a and b
a or b
a unless b
a AND b
a and on (x) b
a and ignoring (x) b
a or ignoring () b
a * on (x) b
a * on () b
a * ignoring (x) b
a * ignoring () b
a * on(x) group_left b
a * on(x) group_right b
a * on(x) group_left() b
a * on(x) group_left(y,z) b
a * ignoring(x) group_right("a.b") b
a * on(x,y) group_left(z) (b)
a == bool on (x) b
a > bool on(x) group_left(y) b
a + on(x) group_left -b
a + fill(0) b
a + fill (-1.5) b
a + fill_left(1) b
a + fill_right(5m) b
a + fill_left(1) fill_right(2) b
a + fill_right(2) fill_left(1) b
a + fill_left(1) fill_right(1) b
a + fill(1e21) b
a + fill(1000000) b
a + fill(0.00001) b
a + on(x) group_left(y) fill(0) b
a > bool ignoring(x) fill_left(0) b
a </ b
a >/ b
a </ 5
a>/5
a < /b/
rate(a[5m])
irate(a[5m])
rate(a[5m:1m])
histogram_quantile(0.9, sum by (le) (rate(a[5m])))
histogram_quantiles(a, "q", 0.5)
histogram_quantiles(a, "q", 0.5, 0.9, 0.99)
label_replace(a, "b", "$1", "c", "(.*)")
label_join(a, "b", ",")
label_join(a, "b", ",", "c")
label_join(a, "b", ",", "c", "d", "e", "f")
round(a)
round(a, 5)
hour()
hour(a)
time()
pi()
vector(1)
scalar(a)
absent(a)
absent_over_time(a[5m])
clamp(a, 1, 2)
info(a)
info(a, {b="c"})
info(a, {b=""})
info(a, {})
sort_by_label(a)
sort_by_label(a, "b", "c")
start()
end()
step()
range()
max_of(1, 2)
min_of(step(), 5)
min_of(scalar(a), 2)
start() + end()
start_timestamp(a)
predict_linear(a[5m], 3600)
quantile_over_time(0.5, a[5m])
double_exponential_smoothing(a[5m], 0.5, 0.5)
sum_over_time(a[5m] anchored)
a anchored
a smoothed
a[5m] smoothed
a anchored[5m]
a[5m] anchored @ 5 offset 1m
a @ 5 anchored
a offset 5m smoothed
rate(a[5m] smoothed)
a # comment
foo{a="b" # comment
# only a comment before
foo{a="b", # x}
"a" # "b
1 + # x
a{b="#"}
'''

INVALID = r'''

#
(
)
1 2
a b
sum a
a bool
a +
+ 
+ a b
1 == 1
1 > 2
1 < 2 < 3
1 and 1
a and 1
1 or a
1 unless 2
1 +* 2
* a
a ! b
a !~ b
a =~ b
a = b
a == == b
a =
a !
a ==
(a
(a))
((a)
a)
a]
[5m]
a[
a[]
a[5m
a[5m]]
a[[5m]]
a[5
a[5mm]
a[5m5m]
a[m]
a[5x]
a[abc]
a["5m"]
a[5m:1m:1m]
a[:1m]
a[:]
a[5m:1m
a[5m:
a[5m 5m]
a[5m:1m 1m]
a[5m:x]
a[0]
a[0s]
a[-5m]
a[5m:0s]
a[5m:-1m]
a[5m](
a[(5m 6m)]
a[5m+]
a[5m*]
a[*5m]
a[5m/0]
a[5m%0]
a[1/0s]
a[step]
a[step(]
a[step(5)]
a[stepp()]
a[range(1m)]
a[foo()]
a[5m+foo]
a[min_of(1m)]
a[min_of(1m,2m,3m)]
a[min_of()]
a[max_of(1m 2m)]
a[1e10]
a[1e300]
a[5m] 5
a[5m][5m]
a[5m:1m][5m]
1[5m]
"a"[5m:]
"a"[5m]
1[5m:]
sum(a)[5m]
rate(a[5m])[5m]
(a)[5m]
a offset 5m[5m]
a @ 5[5m]
a offset step()[5m]
a @ start()[5m]
a offset
a offset b
a offset "5m"
a offset 5m offset 6m
a offset 5m 5m
a offset step
a offset step(
a offset step(1)
a offset ()
a offset (5m
a offset (5m +)
a offset (foo)
a offset 1e300
a offset -1e300
a offset (5m/0)
a offset - 
a offset -b
a offset min_of(1)
a offset *5m
a offset 99999999999y
1 offset 5m
(a) offset 5m
"a" offset 5m
sum(a) offset 5m
rate(a[5m]) offset 5m
-(a) offset 5m
a @
a @ b
a @ "5"
a @ start
a @ start(
a @ start(5)
a @ step()
a @ 5 @ 6
a @ start() @ end()
a @ inf
a @ -inf
a @ nan
a @ 1e300
a @ 9223372036854775807
a @ - -5
a @ (5)
a @ +
1 @ 5
(a) @ 5
sum(a) @ 5
{
}
{}
a{
a{}}
a{{
a{b
a{b=
a{b="c
a{b="c"
a{b="c",
a{b="c",,}
a{,}
a{,b="c"}
a{b}
a{b="c" d="e"}
a{b=c}
a{b=5}
a{b=="c"}
a{b!"c"}
a{b!}
a{b<"c"}
a{b~"c"}
a{="c"}
a{5="c"}
a{b:c="d"}
a{"b"
a{"b"=}
a{"b"=c}
a{"b" "c"}
a{b="c"}d
a{b="c"}{d="e"}
a{b=~"("}
a{b=~"["}
a{b=~"*"}
a{b!~"a**"}
a{b=~"[z-a]"}
a{b=~"\\8"}
a{b=~"a{2000}"}
a{b=~"(?P<x"}
a{b=~"(?z)"}
a{b=~"+"}
a{b=~")"}
a{b=~"a\\"}
{a=""}
{a=~".*"}
{a!="b"}
{a!~"b"}
{a=~"b*"}
{__name__=""}
{""}
foo{__name__="bar"}
foo{__name__=~"bar"}
foo{"bar"}
foo{a="b","bar"}
a{b='\"'}
a{b="\'"}
a{b="\q"}
a{b="\x4"}
a{b="\xZZ"}
a{b="\400"}
a{b="\8"}
a{b="\ud800"}
a{b="\U00110000"}
a{b="\u12
a{b="\
"abc
'abc
`abc
"abc'
'a\"b'
"\é"
"\xé"
"a" + 1
1 + "a"
"a" "b"
a + "b"
"a" == "a"
-"a"
+"a"
-a[5m]
-"a" + 1
a[5m] + 1
1 + a[5m]
a + a[5m]
a[5m] == a[5m]
(a[5m]) + 1
a * on b
a * on(x b
a * on(x,,y) b
a * on(,) b
a * on(5) b
a * on(x y) b
a * on(without) b
a * on(inf) b
a * on("") b
a * on("\xff") b
a * ignoring b
a * on(x) on(y) b
a * on(x) bool b
a * group_left b
a * group_left(x) b
a * on(x) group_left(x) b
a * on(x) group_right(y,x) b
a * on(x) group_left
a * on(x) group_left )
a * on(x) group_left(
a * on(x) group_left(x y) b
a * on(x) group_left(x) group_right(y) b
a and on(x) group_left b
a or on(x) group_right(y) b
a unless ignoring(x) group_left(y) b
a + bool b
a and bool b
1 + bool 2
a ^ bool b
1 + on(x) 2
a + on(x) 2
1 + ignoring(x) a
1 == on(x) a
a + on() 2
a + fill b
a + fill() b
a + fill(x) b
a + fill("1") b
a + fill(1 b
a + fill(1) fill(2) b
a + fill_left(1) fill_left(2) b
a + fill_left(1) fill(2) b
a + fill(1) on(x) b
a and fill(1) b
a + fill(1) 2
1 + fill_left(1) 2
a fill(1) b
fill(1)
bool
on
ignoring
group_left
group_right
atan2
a atan2
on(x)
bool + 1
group_left + 1
sum()
sum(
sum(a
sum(a,b)
sum(1)
sum("a")
sum(a[5m])
sum(a b)
sum(a,)
sum(,a)
sum(a))
sum by a (b)
sum by (a (b)
sum by (a b) (c)
sum by (a) b
sum by (a)
sum by ()
sum by (,) (b)
sum by (5) (b)
sum by ("") (b)
sum by (without) (b)
sum(a) by
sum(a) by (b
sum(a) by b
sum(a) by (b) by (c)
sum by (a) (b) by (c)
sum(a) without (b) c
sum bool (a)
sum on (x) (a)
sum + (a b)
sum(a +)
sum(a + )
sum((a)
sum(a offset)
sum(a @ x)
sum(a[5x])
sum(a{b})
sum(rate(a))
topk(a)
topk(a, 1)
topk(1)
topk(1, 2)
topk("a", b)
topk(1, a, b)
topk()
quantile("a", b)
count_values(1, a)
count_values(a)
count_values(a, b)
limitk(1)
limit_ratio("a", b)
foo()
foo(a)
foo(1,2)
foo(
rate
rate()
rate(a)
rate(1)
rate("a")
rate(a[5m], 1)
rate(a[5m]
rate(a[5m],)
rate(,)
rate(a[5m] b)
RATE(a[5m])
Rate(a[5m])
abs(a[5m])
abs(1)
abs()
abs(a, b)
abs(a b)
abs a
time(1)
time(a)
pi(1)
vector(a)
vector()
scalar(1)
hour(1)
hour(a, b)
hour(a[5m])
round(a, b)
round(a, 1, 2)
round()
label_replace(a, "b")
label_replace(a, b, "c", "d", "e")
label_replace(a, "b", "c", "d", "e", "f")
label_join(a)
label_join(a, "b")
label_join(a, 1, 2)
label_join(a, "b", ",", 5)
label_join(1, "b", ",")
sort_by_label()
sort_by_label(a, 1)
sort_by_label(a, "b", 2)
histogram_quantile(a, b)
histogram_quantile(0.9)
histogram_quantiles(a)
histogram_quantiles(a, "q")
histogram_quantiles(a, "q", "x")
histogram_quantiles(a, "q", 1,2,3,4,5,6,7,8,9,10,11)
info()
info(1)
info(a, 1)
info(a, b)
info(a, b{c="d"})
info(a, rate(b[5m]))
info(a, "x")
info(a, ({b="c"}))
info(a, {b="c"}, {d="e"})
max_of(1)
max_of(a, 1)
min_of(1, 2, 3)
step(1)
start(5)
end(a)
start(
step(,)
range(1,)
anchored b
a anchored smoothed
a smoothed anchored
a[5m] anchored[5m]
a[5m] anchored smoothed
a[5m:] anchored
rate(a[5m:1m] smoothed)
1 anchored
sum(a) smoothed
(a) anchored
"a" smoothed
a smoothed b
0x
0xg
0x1e
0x1.5
0b1
0o7
1e
1e+
1e999
-1e999
1.2.3
1..2
1__0
1_
_1 1
1_e5
1._5
1e_5
1e5e5
0xee
0xfffffffffffffffffffff
12a
5mm
5m3
1h1h
1m1h
1s1m
1ms1s
1hs
1ys
5m5y
1d2w
1.5h
300y
99999999999999999999s
9223372036854775808ms
1h30
@
,
;
a;
a;b
$a
a$b
~a
a ~ b
a & b
a && b
a || b
a | b
?
\
a ? b : c
é
aé
a + é
a{é="b"}
a{b="c"é}
a.b
a..b
a-b-
a::b::c d
a:b{c:d="e"}
.a
a .5
5 a
5a
"a"5
a"b"
a{b="c"}[5m]offset
a[5m]offset 5m@
(1 + 2
((((((a))))
((((((a)))))))
[a]
a[5m] and b
a and b[5m]
not a
!a
a not b
a in b
for a
absent
absent(a[5m])
absent_over_time(a)
sum(a) by (x) [5m]
sum(a) by (x) @ 5
a[5m] @ 5 @ 6
a[5m] offset 1m offset 2m
a[5m:] offset 1m offset 2m
a[5m:] @ 5 @ 6
a{b="c" # x
sum(a # x
a[5m # x
# a
'''


def _lines(text):
    return [line for line in text.split("\n") if line or text is INVALID]


def functions():
    """Our table's names with a right call each, from the answers of the tool's list."""
    V, M, S, T = "a", "a[5m]", "1", '"x"'
    table = {
        M: """absent_over_time avg_over_time changes count_over_time delta deriv first_over_time
           idelta increase irate last_over_time mad_over_time max_over_time min_over_time
           present_over_time rate resets stddev_over_time stdvar_over_time sum_over_time
           ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time""",
        V: """abs absent acos acosh asin asinh atan atanh ceil cos cosh day_of_month day_of_week
           day_of_year days_in_month deg exp floor histogram_avg histogram_count histogram_stddev
           histogram_stdvar histogram_sum hour ln log10 log2 minute month rad round scalar sgn sin
           sinh sort sort_desc sqrt start_timestamp tan tanh timestamp year info""",
        S: "vector",
        "": "end pi range start step time",
        f"{M}, {S}": "predict_linear",
        f"{S}, {M}": "quantile_over_time",
        f"{V}, {S}, {S}": "clamp",
        f"{V}, {S}": "clamp_max clamp_min",
        f"{S}, {V}": "histogram_quantile",
        f"{S}, {S}": "max_of min_of",
        f"{S}, {S}, {V}": "histogram_fraction",
        f"{V}, {T}, {S}": "histogram_quantiles",
        f"{M}, {S}, {S}": "double_exponential_smoothing",
        f"{V}, {T}, {T}": "label_join",
        f"{V}, {T}, {T}, {T}, {T}": "label_replace",
        f"{V}, {T}": "sort_by_label sort_by_label_desc",
    }
    return [(name, args) for args, names in table.items() for name in names.split()]


def hand_cases():
    """All hand-written expressions."""
    cases = _lines(VALID) + _lines(INVALID)
    cases += ["a\n+ b\n)", "a +\n\n  1 == 1", "\n\nfoo{", "a # x\n + b", "foo{\n a=\"b\", # c\n}",
              "sum(\n  a b\n)", "\"a\nb\"", "`a\nb`", "1 == # c\n 1", "a\r\n+ b\r\n}", "\ta\t[\t5m]",
              " ", "\n", "a[\n5m\n]", "a[5m\n#c\n]", "a[#c\n5m]", "1 ==\n\n1", "{a=\"b\nc\"}",
              "a" * 300, "(" * 60 + "a" + ")" * 60, "-" * 60 + "a", "a" + "+a" * 120,
              "sum(" * 30 + "a" + ")" * 30, "topk(1, " * 30 + "a" + ")" * 30,
              "\"" + "x" * 200 + "\"", "\"" + "x" * 200 + "\" 5", "12345678901234567890",
              "a 12345678901234567890", "a \"long string indeed\"", "a \"ünïcödé strïng\"",
              "{\"" + "n" * 120 + "\"}"]
    for name, args in functions():
        cases += [f"{name}({args})", f"{name}(a, b, c, d, e, f)", f"{name}(\"x\")"]
    long = "rate(http_requests_total{job=\"api-server\",handler=~\"/api/comments.*\"}[5m])"
    for wrap in ("sum by (job, handler) ({0}) / ignoring (handler) group_left () sum by (job) ({0})",
                 "-({0} + {0})", "-{0} + {0}", "({0} or {0})", "abs(-{0} * {0} > bool 5)",
                 "topk(scalar({0}), {0} offset 5m)".replace("{0} offset", "foo offset"),
                 "label_replace({0} * {0}, \"a\", \"$1\", \"b\", \"(.*)\")",
                 "max_over_time(({0} - {0})[1h:5m])", "clamp_min({0}[1h:5m] + 1, 5)",
                 "sum(max_over_time({0}[1h:5m])) without (a, b, c, d, e, f, g, h, i, j, k, l, m)",
                 "quantile without (x) (0.9, {0} and on (a) {0} unless {0})",
                 "({0} + (({0} * {0}) - ({0})))", "sum_over_time((-{0})[{0}:])",
                 "max_over_time((-{0} ^ {0})[30m:1m] @ end() offset 5m) + -(-{0} + {0})",
                 "count_values(\"a label with a very long name that goes on and on and on and on\", {0})",
                 "{0} + on (a) group_left (b) fill (3) {0}", "-(sum({0}) + 5)", "--{0} * 5"):
        cases.append(wrap.format(long))
    return list(dict.fromkeys(c for c in cases))


class Generator:
    """Expressions from a grammar that knows types most of the time."""

    names = ["a", "foo", "http_requests_total", "job:rate:sum", "sum", "by", "up", "step", "fill"]
    labels = ["a", "job", "le", "by", "instance", "__name__", '"a.b"', "on", "group_left"]
    durations = ["5m", "1h", "30s", "1h30m", "300", "1d", "0.5", "1w", "100ms"]
    aggs = ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"]
    params = ["topk", "bottomk", "quantile", "limitk", "limit_ratio"]
    ops = ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "</", ">/"]

    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, *items):
        return self.r.choice(items)

    def chance(self, p):
        return self.r.random() < p

    def number(self):
        return self.pick("1", "0", "2.5", "1e3", "0x1f", "Inf", "NaN", "5m", "1_000", ".5", "017")

    def string(self):
        return self.pick('"x"', "'y'", "`z`", '"a\\nb"', '"é"', '"(.*)"', '"$1"', '""')

    def matchers(self):
        out = []
        for _ in range(self.r.randint(0, 3)):
            op = self.pick("=", "!=", "=~", "!~")
            out.append(f"{self.pick(*self.labels)}{op}{self.string()}")
        if self.chance(0.1):
            out.append('"quoted name"')
        return "{" + ",".join(out) + self.pick("", "", "," if out else "") + "}"

    def duration_expr(self, depth):
        if depth <= 0 or self.chance(0.4):
            return self.pick(*self.durations, "step()", "range()")
        one, two = self.duration_expr(depth - 1), self.duration_expr(depth - 1)
        return self.pick(f"{one} {self.pick(*'+-*/%^')} {two}", f"({one})", f"-{one}", f"+{one}",
                         f"min_of({one}, {two})", f"max_of({one},{two})")

    def modifiers(self):
        out = ""
        if self.chance(0.15):
            out += self.pick(" anchored", " smoothed")
        for _ in range(2):
            if self.chance(0.15):
                out += " offset " + self.pick(*self.durations, "-5m", "(" + self.duration_expr(2) + ")",
                                              self.duration_expr(1))
            if self.chance(0.15):
                out += " @ " + self.pick("5", "-1.5", "start()", "end()", "1e9")
        return out

    def selector(self):
        if self.chance(0.15):
            return self.matchers()
        return self.pick(*self.names) + (self.matchers() if self.chance(0.4) else "")

    def bracket(self, depth):
        d = self.duration_expr(2) if self.chance(0.3) else self.pick(*self.durations)
        if depth >= 0:
            return f"[{d}:{self.pick('', '1m', self.duration_expr(1))}]"
        return f"[{d}]"

    def matrix(self, depth):
        if self.chance(0.75) or depth <= 0:
            return self.selector() + self.bracket(-1) + self.modifiers()
        return self.vector(depth - 1) + self.bracket(depth) + self.modifiers()

    def grouping(self):
        return "(" + ",".join(self.pick(*self.labels) for _ in range(self.r.randint(0, 3))) + ")"

    def matching(self):
        out = self.pick("", "", " bool")
        if self.chance(0.4):
            out += self.pick(" on", " ignoring") + self.grouping()
            if self.chance(0.4):
                out += self.pick(" group_left", " group_right") + self.pick("", self.grouping())
        if self.chance(0.1):
            out += self.pick(" fill(1)", " fill_left(-2)", " fill_right(3) fill_left(1)")
        return out

    def scalar(self, depth):
        if depth <= 0 or self.chance(0.4):
            return self.number()
        return self.pick(lambda: f"scalar({self.vector(depth - 1)})", lambda: "time()",
                         lambda: f"({self.scalar(depth - 1)})", lambda: f"-{self.scalar(depth - 1)}",
                         lambda: f"{self.scalar(depth - 1)} {self.pick(*'+-*/%^')} "
                                 f"{self.scalar(depth - 1)}",
                         lambda: f"{self.scalar(depth - 1)} > bool {self.scalar(depth - 1)}")()

    def call(self, depth):
        name, args = self.pick(*functions())
        parts = []
        for arg in filter(None, args.split(", ")):
            parts.append({"a": lambda: self.vector(depth - 1), "a[5m]": lambda: self.matrix(depth - 1),
                          "1": lambda: self.scalar(depth - 1), '"x"': self.string}[arg]())
        return f"{name}({', '.join(parts)})"

    def aggregate(self, depth):
        by = self.pick("", " by ", " without ")
        by = by + self.grouping() if by else ""
        if self.chance(0.3):
            inner = f"({self.scalar(depth - 1)}, {self.vector(depth - 1)})"
            name = self.pick(*self.params)
        else:
            inner, name = f"({self.vector(depth - 1)})", self.pick(*self.aggs)
        return f"{name}{by} {inner}" if self.chance(0.5) else f"{name}{inner}{by}"

    def vector(self, depth):
        if depth <= 0 or self.chance(0.2):
            return self.selector() + self.modifiers()
        return self.pick(
            lambda: self.call(depth), lambda: self.aggregate(depth),
            lambda: f"({self.vector(depth - 1)})",
            lambda: f"{self.pick('-', '+')}{self.vector(depth - 1)}",
            lambda: f"{self.vector(depth - 1)} {self.pick(*self.ops)}{self.matching()} "
                    f"{self.vector(depth - 1)}",
            lambda: f"{self.vector(depth - 1)} {self.pick('and', 'or', 'unless')} "
                    f"{self.vector(depth - 1)}",
            lambda: f"{self.vector(depth - 1)} {self.pick(*self.ops)} {self.scalar(depth - 1)}")()

    def broken(self, text):
        """One or two edits that mostly spoil it."""
        alphabet = ["(", ")", "[", "]", "{", "}", ",", "=", "!", "~", ":", "@", " ", "\"", "'", "`",
                    "+", "-", "*", "/", "^", "<", ">", "5", "m", "a", "_", ".", "#", "\\", "\n",
                    " by ", " on ", " bool ", " offset ", " and ", " sum", " group_left ", "5m",
                    "é", "step()", "rate(", "[5m]", "[5m:]", " fill(", "inf", "0x"]
        for _ in range(self.r.randint(1, 2)):
            at = self.r.randint(0, len(text))
            how = self.r.randint(0, 3)
            if how == 0:
                text = text[:at] + text[at + self.r.randint(1, 4):]
            elif how == 1:
                text = text[:at] + self.pick(*alphabet) + text[at:]
            elif how == 2:
                text = text[:at] + self.pick(*alphabet) + text[at + 1:]
            else:
                text = text[:at]
        return text


def generated(count, seed):
    g = Generator(seed)
    out = []
    for i in range(count):
        text = g.pick(g.vector, g.vector, g.matrix, g.scalar)(g.r.randint(0, 4))
        out.append(text if i % 2 == 0 else g.broken(text))
    return [t for t in dict.fromkeys(out) if "\0" not in t]
