/* abbreviations.h - made by tables.py: short forms of words. See variants.c. */
#ifndef GEOCODE_WORDS_ABBREVIATIONS_H
#define GEOCODE_WORDS_ABBREVIATIONS_H

#include <sextant/str.h>

/* clang-format off */
typedef struct abbreviations {
    const char *language;
    sx_str words;
} abbreviations;

static const abbreviations ABBREVIATIONS[] = {
    {"bg",
     SX_STR_INIT(
     "блок>бл;булевард>бул;вход>вх;генерал>ген;град>гр;доктор>д-р;доцент>доц;жилищен комплекс>ж "
     "к;капитан>кап;квартал>кв;митрополит>мит;площад>пл;професор>проф;свети>св;село>с;улица>ул")},
    {"ca",
     SX_STR_INIT(
     "aparcament>aparc;apartament>apmt;apartat>apt;autopista>auto,autop;autovia>autov;avinguda>a"
     "v,avd,avda;baixada>bda;baixos>bxs;barranc>bnc;barri,barriada>b;biblioteca>bibl;bloc>bl;can"
     "tonada>cant;carrer>c;carreró>cró;carretera>ctra;cementiri>cem;cinturó>cint;codi postal,col"
     "legi públic>cp;collegi>coll;comissaria>com;convent>convt;correus>corr;districte>distr;drec"
     "era>drec;dreta>dta;entrada>entr;entresòl>entl;escala,escola>esc;escola universitària>eu;es"
     "glésia>esgl;estacionament>estac;estació>est;facultat>fac;finca>fca;habitació>hab;hospital>"
     "hosp;hotel>h;monestir>mtir;monument>mon;mossèn>mn;municipal>mpal;museu>mus;nacional>nac;no"
     "mbre>nre;número>n,núm;parada>par;passadís>pdís;passatge>ptge;passeig>pg;pavelló>pav;planta"
     ">pl;plaça>pl,pça;població>pobl;polígon industrial>pi,pol ind;polígon>pol;porta>pta;portal>"
     "ptal;principal>pral;pujada>pda;punt quilomètric>pk;rambla>rbla;ronda>rda;sagrada>sgda;sagr"
     "at>sgt;sant>st;santa>sta;sense número>s-n;sobreàtic>s-àt;sortida>sort;travessera>trav;trav"
     "essia>trav,trv;urbanització>urb;via>v;àtic>àt")},
    {"cs",
     SX_STR_INIT(
     "náměstí>nám;třída>tř;ulice>ul")},
    {"da",
     SX_STR_INIT(
     "gamle,gammel>gl;lille>ll;nordre>ndr;nørre>nr;store>st;sønder,søndre>sdr;~hal=>hal;~hallen="
     ">hallen;~hallerne=>hallerne")},
    {"de",
     SX_STR_INIT(
     "allgemeines krankenhaus>akh;altstoffsammelzentrum>asz;am>a;an der,auf der>a d;bad,berg,~ba"
     "ch>b;bahnhof>bhf;bayerisch,bayerische,bayerischer,bayerisches>bayer;bezirk>bez;bundesgymna"
     "sium>bg;bundespolizeidirektion>bpd;bundesrealgymnasium>brg;burgenländische,burgenländische"
     "r,burgenländisches>bgld;bürgermeister>bgm;chaussee>ch;deutsch,deutsche,deutscher,deutsches"
     ">dt;deutscher alpenverein>dav;doktor>dr;dorf>df;ehemalige,ehemaliger,ehemaliges>ehem;fabri"
     "k>fb;fachhochschule,forsthaus>fh;freiwillige feuerwehr>ff;gasthaus>gh;gasthof>ghf;gemeinde"
     ">gde;graben>gr;grosse,grosser,grosses>g,gr;gymnasium und realgymnasium>grg;haltestelle>hst"
     ";handelsakademie>hak;handelsschule>hasch;hauptbahnhof>hbf;haus>hs;heilige,heiliger,heilige"
     "s>hl;hintere,hinterer,hinteres>hint,ht;hohe,hoher,hohes,~höhle>h;höhere technische lehrans"
     "talt>htl;im,in>i;in der>i d;ingenieur>ing;internationale,internationaler,internationales>i"
     "nt;jagdhaus>jh;jagdhütte>jhtt;kapelle>kap,kpl;katastralgemeinde,kogel>kg;kleine,kleiner,kl"
     "eines>kl;kleingartenanlage>kga;kleingartenverein>kgv;klein~>kl-;kläranlage>ka;konzentratio"
     "nslager>kl,kz;krankenhaus>kh;landeskrankenhaus>lkh;magister>mag;magistratsabteilung,maria>"
     "ma;markt>mkt;müllverbrennungsanlage>mva;nationalpark>np;naturschutzgebiet>nsg;neue mittels"
     "chule>nms;niedere,niederer,niederes>nd;niederösterreich>nö;nummer>nr;nördliche,nördlicher,"
     "nördliches>nördl;ob>o;obere,oberer,oberes,ober~>ob;pater,pfad>p;platz,~platz$>pl;professor"
     ">prof;quelle>q,qu;reservoir>res;rhein>rh;ruine>r;rundwanderweg>rww;sandgrube,schottergrube"
     ">sg;sankt>st;schloss>schl;see>s;sozialmedizinisches zentrum>smz;steinbruch>stb;südliche,sü"
     "dlicher,südliches>südl;technische universität>tu;teich>t;truppenübungsplatz>tüpl;unfallkra"
     "nkenhaus>ukh;untere,unterer,unteres>u,unt;unter~>u;verfallen>verf;volksschule>vs;von der,v"
     "or der>v d;von>v;vorder-,vordere,vorderer,vorderes>vd,vord;wald,~weg$>w;wasserfall>wsf,wss"
     "f;westliche,westlicher,westliches>westl;wiener>wr;wirtschaftsuniversität>wu;wirtshaus>wh;z"
     "um>z;~berg,~burg|>bg;~brücke>br;~denkmal>dkm;~dorf|>df;~gasse|>g;~hütte>htt;~kogel|>kg;~kr"
     "euz|>kz;~siedlung>sdlg;~spitze>sp;~stiege>stg;~strasse>str;~universität>uni;~wiese$>ws;öst"
     "erreichischer alpenverein>öav;österreichischer gebirgsverein>ögv;österreichischer touriste"
     "nklub>ötk;östliche,östlicher,östliches>östl")},
    {"el",
     SX_STR_INIT(
     "αγίας,αγίου,αγίων>αγ;αδελφοί>αφοί;αδελφών>αφών;αλέξανδρου>αλ;ανώτατο τεχνολογικό εκπαιδευτ"
     "ικό ίδρυμα>ατει;αστυνομικό τμήμα>ατ;βασιλέως,βασιλίσσης>β,βασ;γρηγορίου>γρ;δήμος>δ;δημοτικ"
     "ό σχολείο>δημ σχ,δς;εθνάρχου,εθνική,εθνικής>εθν;ελευθέριος,ελευθερίου>ελ;ελληνικά ταχυδρομ"
     "εία,ταχυδρομείο>ελτα;θεσσαλονίκης>θεσ-νίκης;ιερά μονή>ι μ;ιερός ναός>ι ν;κτίριο>κτ;κωνσταν"
     "τίνου>κων-νου;λίμνη>λ;λεωφόρος>λ,λεωφ;νέα,νέες,νέο,νέοι,νέος,νησί,νομός>ν;παλαιά,παλαιές,π"
     "αλαιοί,παλαιό,παλαιός>π;πανεπιστήμιο>αει,παν;πλατεία>πλ;ποταμός>π,ποτ;στρατηγού>στρ;τεχνολ"
     "ογικό εκπαιδευτικό ίδρυμα>τει;όρος>όρ")},
    {"en",
     SX_STR_INIT(
     "^river,river$>r,riv,rvr;access>accs;air force base>afb;air national guard base>angb;airpor"
     "t>aprt;alley>al,all,ally,aly;alleyway>alwy;amble>ambl;anex>anx;apartment>apt;apartments>ap"
     "ts;approach>apch,app;arcade>arc;arterial>artl;artery>arty;avenue>av,ave;back>bk;banan>ba;b"
     "arangay>bgy,brgy;basin>basn,bsn;bayou>byu;bazaar>bazar,bzr;beach>bch;bend>bnd;block>b,blk;"
     "bluff>blf;bluffs>blfs;boardwalk>bwlk;bottom>btm;boulevard>blvd,bvd;boundary>bdy;bowl>bl;br"
     "ace,brae,branch>br;break,brook>brk;bridge$>bdge,br,brdg,brg,bri;broadway>bdwy,bway,bwy;bro"
     "oks>brks;brow>brw;building>bldg;buildings>bldgs,bldngs;burg>bg;burgs>bgs;business>bus;bypa"
     "ss>bps,byp,bypa;byway>bywy;camp>cp;cantonment>cant,cantt;canyon>cyn;cape>cpe;caravan>cvn;c"
     "auseway>caus,cswy,cway;center,centre>cen,ctr;centers>ctrs;central>ctrl;centreway>cnwy;chak"
     ">ch,chk,ck;chase,church>ch;circle>cir;circles>cirs;circuit>cct,ci,circt;circus>crc,crcs;ci"
     "ty>cty;cliff>clf;cliffs>clfs;close>cl;club>clb;co-operative housing society,cooperative ho"
     "using society>chs;commercial>com,comm;commission,community>comm;common>cmn,comm;commons>cm"
     "ns;compound>cmpd,cpd;concession>conc;concourse>cnc,con;cooperative>coop;copse>cps;corner>c"
     "nr,cor,crn;corners>cors,crnrs;corso>cso;cottages>cotts;county road,county route>cr;county>"
     "co;course>crse;court>crt,ct;courts>cts;courtyard>ctyd,cyd;cove$>ce,cov,cv;coves>cvs;creek$"
     ">ck,cr,crk;crescent>cr,cres;crest>crst,cst;croft>cft;cross>crss,cs;crossing>cross,crsg,csg"
     ",xing;crossroad>crd,xrd;crossroads>xrds;crossway>cowy;cul-de-sac>cds,csac;curve>curv,cve;c"
     "utting>cutt;dale>dle;dam>dm;defense housing authority>dha;department>dep-t,dept;dera ghazi"
     ">dg;deviation>devn;distributor>dstr;district council>dc;district>dist,distt;diversion>dive"
     "rs;divide>dv;down,downs>dn;drive-in=>drive-in;drive>dr,drv,dv;drives>drs;driveway>drwy,dvw"
     "y,dwy;east>e;edge>edg;elbow>elb;entrance>ent;esplanade>esp,espl;estate>est;estates>ests;ex"
     "pressway>exp,expwy,expy,xway;extension>ex,ext,exten;extensions>exts;fairway>fawy,fy;falls>"
     "fls;father>fr;federal government public school>fgps;ferry>fry,fy;field>fd,fld;fields>flds;"
     "fire track>ftrk;firetrail>fit;flat>fl,flt;flats>flts;follow>folw;footway>ftwy;ford>frd;for"
     "ds>frds;foreshore>fshr;forest service road>fsr;forest>frst;forge>frg;forges>frgs;fork>frk;"
     "forks>frks;formation>form;fort>ft;freeway>frwy,fwy;front>frnt;frontage>fr,frtg;garden>gdn;"
     "gardens>gdn,gdns;gate,gates>ga,gte;gateway>gtwy,gwy;general bus stand>gbs;general post off"
     "ice>gpo;general>gen;george>geo;glade$>gl,gld,glde;glen>gln;glens>glns;government elementar"
     "y school>ges;government girls high school>gghs;government girls primary school>ggps;govern"
     "ment high school>ghs;government primary school>gps;government>govt;governor>gov;grange>gra"
     ";green>gn,grn;greens>grns;ground>grnd;grounds>grnds;grove$>gr,gro,grv;groves>grvs;grovet>g"
     "r;gully>gly;gwadar port authority>gpa;harbor>harbour,hbr;harbors>hbrs;harbour>harbor,harbr"
     ",hbr;haven>hvn;head,heads>hd;heights>hgts,ht,hts;high school>hs;highlands>hghlds;highroad>"
     "hird,hrd;highway>hi,hwy;hill>hl;hills>hl,hls;hollow>holw;hospital>hosp;house>ho,hse;indust"
     "rial trading estate>ite;industrial>ind;inlet>inlt;interchange>intg;international>int,intl;"
     "island>i,is;islands>iss;junction>jct,jctn,jnc;junctions>jcts;junior>jr;key>ky;keys>kys;kha"
     "sra>kh,kha;knoll>knl;knolls>knls;lagoon>lgn;lake,link>lk;lakes>l,lks;landing>landng,ldg,ln"
     "dg;lane>la,ln;laneway>lnwy;light>lgt;lights>lgts;limits>lmts;line>ln;little>lit,lt;loaf>lf"
     ";local government unit>lgu;local government>lg;lock>lck;locks>lcks;lodge>ldg;lookout>lkout"
     ",lkt;loop>lp;lower>low,lr,lwr;main road>mr;mall,mill>ml;manor>mnr;manors>mnrs;mansions>man"
     "s;markaz>mkz;market>mkt;mauza,mouza>mz,mza;mead>md;meadow>mdw;meadows>mdw,mdws;meander>mdr"
     ",mndr,mr;medical>med;memorial>mem;metropolitan corporation>mc;mews>mw;middle school>ms;mid"
     "dle>mid;mile>mi;military>mil;mills>mls;mission>msn;mohammad ali,muhammad ali>ma;mohammad,m"
     "uhammad>moh,mohd;motorway>mtwy,mwy;mount>mt;mountain>mtn;mountains$>mtn,mtns;municipal>mun"
     ";museum>mus;national high school>nhs;national highway authority>nha;national highway>nh;na"
     "tional park>np;national recreation area>nra;national wildlife refuge area>nwra;national>na"
     "t-l;neck>nck;nook>nk;north>n;northeast>ne;northwest>nw;orchard>orch;outlook>otlk,out;overp"
     "ass>opas;parade>pde;paradise>pdse;park,pike>pk;parklands>pkld;parkway>pkwy,pky,pwy;parkway"
     "s>pkwy;pass>ps;passage>pass,psge;pathway>phwy,ptway,pway,pwy;philippine>phil;piazza>piaz;p"
     "ine>pne;pines>pnes;place>pl;plain>pl,pln;plains>pl,plns;plateau>plat;plaza>pl,plz,plza;poc"
     "ket>pkt;point>pnt,pt;points>pts;police community precinct>pcp;port>prt,pt;ports>prts;post "
     "office>po;prairie>pr;precinct>pct;private>pvt;promenade>prm,prom;province>prov;quadrangle>"
     "qdgl;quadrant>qd,qdrt;quay>qy;quays>qy,qys;radial>radl;ramble>ra,rmbl;ranch>rnch;range>rg,"
     "rge,rnge;rapid>rpd;rapids>rpds;reach>rch;reservation,reserve,reservoir>res;rest>rst;retrea"
     "t>rt,rtt;return>rtn;ridge>rdg,rdge;ridges>rdgs;ridgeway>rgwy;right of way>rowy;ring road>r"
     "r;rise>ri;riverway>rvwy;riviera>rvra;road>rd;roads>rds;roadside>rdsd;roadway>rdwy,rdy;rock"
     "s>rks;ronde>rnde;rosebowl>rsbl;rotary>rty;round>rnd;route>rt,rte;saint,street>st;saints>ss"
     ";sector>sec,sect,sectr;senior high school>shs;senior,sister,state route>sr;service>ser,ser"
     "v;serviceway>svwy,swy;shoal>shl;shore>shr;shores>shrs;shunt>shun;siding>sdng;skyway>skwy;s"
     "lope>slpe;sound>snd;south>s,sth;southeast>se;southwest>sw;spring>spg;springs>spgs;spurs>sp"
     "ur;square>sq;squares>sqs;stairway>strwy;state highway>sh,shwy;station>sta,stn;strand>sd,st"
     "ra;stravenue>stra;stream>strm;streets>sts;strip>strp;subdivision>subd,subdiv;subway>sbwy;s"
     "ummit>smt;taluka municipal administration,tehsil municipal administration>tma;tarn>tn;term"
     "inal>term;terrace>tce,ter,terr;thoroughfare>thfr,thor;throughway>trwy;tollway>tlwy,twy;tow"
     "ers>twrs;townline>tline;township>twp;trace>trce;track>tr,trak,trk;trafficway>trfy;trail>tr"
     "l;trailer>trlr;triangle>tri;trunkway>tkwy;tunnel>tun,tunl;turn>tn,trn;turnabout>trnabt;tur"
     "npike>tpk,tpke;underpass>upas,ups;union council>uc;union>un;unions>uns;university>uni,univ"
     ";upper>up,upr;vale>va;valley>vly,vy;valleys>vlys;viaduct$>vdct,via,viad;view>vw;views>vws;"
     "village>vill,villge,vlg;villages>vlgs;villas>vlls;ville>vl;vista>vis,vst,vsta;walk>wk,wlk;"
     "walks>walk;walkway>wkwy,wky;waters>wtr;way>wy;well>wl;wells>wls;west>w;wharf>whrf;william>"
     "wm;wynd>wyn;yard>yd")},
    {"es",
     SX_STR_INIT(
     "acequia>aceq;alameda>alam;alquería>alque;andador>andad;angosta>angta;apartamento>apto;apar"
     "tamentos>aptos;apeadero>apdro;arboleda>arb;arrabal>arral;arroyo>arry;asociación de vecinos"
     ">a vv;asociación vecinal>a v;autopista>auto;autovía>autov;avenida>av,avd,avda;balneario>ba"
     "lnr;banda>b,bda;barranco>branc;barranquil>bqllo;barriada>barda;barrio>b-o,bo;bloque>blq;bo"
     "ulevard>blvd;bulevar>blvr;calle>c,cl;calleja>cllja;callejuela>cjla;callejón>callej,cjón,cl"
     "lón;callizo>cllzo;calzada>czada;camino hondo>c h;camino nuevo>c n;camino viejo>c v;camino>"
     "cmno,cno;camping>campg;cantera>cantr;cantina>canti;cantón>cant;carrera,colegio rural agrup"
     "ado>cra;carrero>cro;carretera>ctra;carreterín>ctrin;carretil>crtil;caserío>csrio;centro in"
     "tegrado de formación profesional>cifp;cinturón>cint;circunvalación>ccvcn;cobertizo>cbtiz;c"
     "olegio de educación especial>cee;colegio de educación infantil y primaria>ceip;colegio de "
     "educación infantil>cei;colonia>col;complejo>compj;conjunto>cjto;convento>cnvto;cooperativa"
     ">coop;corralillo>crrlo;corredor>crrdo;cortijo>crtjo;costanilla>cstan;costera>coste;dehesa>"
     "dhsa;demarcación>demar;diagonal>diag;diseminado>disem;doctor>dr;doctora>dra;edificio>edif;"
     "empresa>empr;entrada>entd;escalera>esca;escalinata>escal;espalda>eslda;estación>estcn;estr"
     "ada>estda;explanada>expla;extramuros>extrm;extrarradio>extrr;ferrocarril>f c;ferrocarriles"
     ">ff cc;fábrica>fbrca,fca;galería>gale;glorieta>gta;gran vía>g v;hipódromo>hipód;instituto "
     "de educación secundaria>ies;jardín>jdín;llanura>llnra;lote>lt;malecón>malec;manzana>mz;mer"
     "cado>merc;mirador>mrdor;monasterio>mtrio;nuestra señora>n-a s-a,ntr-a sr-a,ntra sra;palaci"
     "o>palac;pantano>pant;parque>pque;particular>parti;partida>ptda;pasadizo>pzo;pasaje>psje;pa"
     "seo marítimo>p-o mar;paseo>p-o;pasillo>psllo;plaza>pl,pza;plazoleta>pzta;plazuela>plzla;po"
     "blado>pbdo;polígono industrial>pg ind;polígono>políg;portillo>ptilo;prazuela>przla;prolong"
     "ación>prol;pueblo>pblo;puente>pte;puerta>pta;puerto>pto;punto kilométrico>p k;pórtico>prtc"
     "o;rambla>rbla;residencial>resid;ribera>rbra;rinconada>rcda;rincón>rcón;rotonda>rtda;san>s;"
     "sanatorio>sanat;santa>sta;santas>stas;santo>sto;santos>stos;santuario>santu;sector>sect;se"
     "ndera>sedra;sendero>send;torrente>trrnt;transversal>trval;trasera>tras;travesía>trva;tráns"
     "ito>tráns;urbanización>urb;vecindario>vecin;viaducto>vcto;viviendas>vvdas")},
    {"et",
     SX_STR_INIT(
     "maantee>mnt;puiestee>pst;raudtee>rdt;raudteejaam>rdtj;tänav>tn")},
    {"eu",
     SX_STR_INIT(
     "errepidea>err;etorbidea>etorb;kalea>k")},
    {"fi",
     SX_STR_INIT(
     "tienhaara>th;~alue>al;~asema>as;~aukio>auk;~kaari>kri;~katu>k;~kuja>kj;~kylä>kl;~penger>pg"
     "r;~polku>p;~puistikko>pko;~puisto>ps;~raitti>r;~ranta>rt;~rautatieasema>ras;~rinne>rn;~tai"
     "val>tvl;~tie>t;~tori>tr;~väylä>vlä")},
    {"fr",
     SX_STR_INIT(
     "abbaye>abe;agglomération>agl;aires>aire;allée,allées>all;ancien chemin>ach;ancienne route,"
     "anciennes routes>art;arcade,arcades>arc;autoroute>aut;avenue>av;barrière,barrières>bre;bas"
     " chemin>bch;bastide>bstd;baston>bast;berge,berges>ber;bois>bois;boucle>bcle;boulevard>bd,b"
     "oul;bourg>brg;butte>but;béguinage,béguinages>begi;campagne>cgne;camping>cpg;carreau>cau;ca"
     "rrefour>car,carref;carrière,carrières>care;carré>car,carr;castel>cst;cavée>cav;central>ctr"
     "e;centre>c,ctre;chalet>chl;chapelle>chp;charmille>chi;chaussée,chaussées>chs;chemin vicina"
     "l,chemins vicinaux>chv;chemin>ch,che;cheminement,cheminements>chem;chemins>che;château>cht"
     ";cités>cite;cloître>cloi;colline,collines>coli;contour>ctr;corniche,corniches>cor;cottage,"
     "cottages>cott;cours>crs;croissant>crois;côteau>cote;darse>dars;degré,degrés>deg;descente,d"
     "escentes>dsg;digue,digues>dig;diversion>divers;domaine,domaines>dom;enceinte>en;enclave>en"
     "v;enclos>enc;escalier,escaliers>esc;espace>espa;esplanade>esp,espl;esplanades>esp;faubourg"
     ">fg;ferme,fermes>frm;fontaine>fon;forum>form;fosse,fosses>fos;foyer>foyr;galerie,galeries>"
     "gal;garenne>garn;grand boulevard>gbd;grand ensemble,grands ensembles>gden;grand-rue,grande"
     " rue,grandes rues>gr;grille>gri;grimpette>grim;groupe,groupes>gpe;groupement>gpt;halle,hal"
     "les>hle;hameau,hameaux>ham;haut chemin,hauts chemins>hch;hippodrome>hip;immeuble,immeubles"
     ">imm;impasse,impasses>imp;jardin,jardins>jard;jetée,jetées>jte;levée>leve;lieu-dit>ld;loti"
     "ssement,lotissements>lot;maison forestière>mf;manoir>man;marche,marches>mar;maréchal>mal;m"
     "onseigneur>mgr;mont>mt;montée,montées>mte;moulin,moulins>mln;musée>mus;métro>met,mét;nouve"
     "lle route>nte;palais>pal;parking>pkg;parvis>prv;passage à niveau>pn;passage>pas,pass;passe"
     ",passes>pass;passerelle,passerelles>ple;patio>pat;pavillon,pavillons>pav;petit chemin,porc"
     "he>pch;petite allée,petites allées>pta;petite avenue>pae;petite impasse>pim;petite route>p"
     "rt;petite rue>ptr;place>pl;placis>plci;plage,plages>plag;plaine>pln;plateau>plat,plt;plate"
     "aux>plt;pointe>pnt;porte>pte;portique,portiques>porq;poterne>pot;pourtour>pour;presqu-île>"
     "prq;promenade>prom;périphérique>peri;péristyle>psty;quai>qu;quartier>qua;raccourci>rac;rai"
     "dillon>raid;rampe>rpe;rempart>rem;rocade>roc;rond point>rpt;rond-point>rdpt;roquet>roqt;ro"
     "tonde>rtd;route,routes>rte;rue,rues>r;ruelle,ruelles>rle;résidence,résidences>res;saint>st"
     ";sainte>ste;sente,sentes,sentiers>sen;sentier>sen,sent;square>sq;stade>stde;station>sta;su"
     "bdivision>subdiv;terrain>trn;terrasse,terrasses>tsse;terre plein>tpl;tertre,tertres>trt;tr"
     "averse>tra;vallon,vallée>val;venelle,venelles>ven;vieille route>vte;vieux chemin>vche;vill"
     "a,villas>vla;village>vge,villge;villages>vge;voie,voies>voi;zone artisanale>za;zone d-amén"
     "agement concerté>zac;zone d-aménagement différé>zad;zone industrielle>zi;zone à urbaniser "
     "en priorité>zup;échangeur>éch;écluse,écluses>ecl;église>egl")},
    {"gl",
     SX_STR_INIT(
     "asociación de veciños>a vv;asociación veciñal>a v;avenida>av,avda;centro integrado de form"
     "ación profesional>cifp;colexio de educación especial>cee;colexio de educación infantil e p"
     "rimaria>ceip;colexio de educación infantil>cei;colexio rural agrupado>cra;doutor>dr;doutor"
     "a>dra;edificio>edif;estrada>estda;ferrocarril>f c;ferrocarrís>ff cc;instituto de educación"
     " secundaria>ies;rúa>r-;san>s;santa>sta;santas>stas;santo>sto;santos>stos;señora>sra;urbani"
     "zación>urb")},
    {"hu",
     SX_STR_INIT(
     "utca>u")},
    {"it",
     SX_STR_INIT(
     "calle>c-le;campo>c-po;cascina>c-na;cinque>5;corso>c-so;corte>c-te;decima,decimo>x;due>2;fo"
     "ndamenta>f-ta;largo>l-go;località>loc;lungomare>l-mare;nona,nono>ix;nove>9;ottava,ottavo>v"
     "iii;otto>8;piazza>p-za,p-zza;piazzale>p-le;piazzetta,porta>p-ta;ponte>p-te;prima>i;primo>1"
     ",i;quarta,quarto>iv;quattro>4,iv;quinta,quinto,via>v;salizada>s-da;san,sant-,santa,santo>s"
     ";santi,strada statale>ss;santissima>ss-ma;santissime>ss-me;santissimi>ss-mi;santissimo>ss-"
     "mo;seconda,secondo>ii;sei>6;sesta,sesto>vi;sette>7;settima,settimo>vii;stazione>staz;strad"
     "a comunale>sc;strada provinciale>sp;strada regionale>sr;terza,terzo>iii;tre>3;trenta>xxx;u"
     "n,una>1;venti>20,xx;venticinque>25,xxv;ventiquattro>xxiv;ventitreesimo>xxiii;viale>v-le;vi"
     "co>v-co;vicolo>v-lo")},
    {"mg",
     SX_STR_INIT(
     "ambato>ato;ambinany>any;ambodi>adi;ambohi>ahi;ambohitr->atr-;ambony>ani;ampasi>asi;andoha>"
     "aha;andrano>ano")},
    {"ms",
     SX_STR_INIT(
     "abdul>abd;alur>alr;awang>awg;bahagian>bhg;bakau>bak;bandar>bdr;bangunan>bgn;batu>bt;blok>b"
     "lk;bukit>bkt,bt;dayang>dyg;dispensari>disp;gosong>gsg;gunong,gunung>g,gn;haji>hj;hajjah>hj"
     "h;hilir>hr;hospital>hosp;hulu>h;jalan>jln;jeram>j,jr;kampong,kampung>kg;kepulauan>kep;kond"
     "ominium>kondo;kuala>k,kl;ladang>ldg;lapangan>lpg;lebuh>lbh;lebuhraya>lbh-raya;lembah>lmbh;"
     "lorong>lor,lrg;padang>pdg;parit>pt;pelabuhan>plbh;pengiran>pg;permatang>pmtg;persiaran>psr"
     "n;pulau>p,pl;sekolah kebangsaan>sk;sekolah menengah kebangsaan>smk;sekolah menengah>sm;sek"
     "olah rendah>sr;simpang>spg;sungai>sg;taman>tmn;tanjong,tanjung>tg;telok,teluk>tlk")},
    {"nl",
     SX_STR_INIT(
     "broeder>br;burgemeester>burg;commandant>cmdt;doctor,dokter>dr;dominee>ds;gebroeders>gebr;g"
     "eneraal>gen;ingenieur>ir;jonkheer>jhr;kanunnik>kan;kardinaal>kard;kolonel>kol;koning,konin"
     "gin>kon;kort-e->k,kte;lange>l;luitenant>luit;meester>mr;mejuffrouw>mej;mevrouw>mevr;minist"
     "er>min;monseigneur>mgr;noordzijde>n z,nz;onze-lieve-vrouw,onze-lieve-vrouwe>o l v,olv;oost"
     "zijde>o z,oz;pastoor>past;president>pres;prins,prinses>pr;professor>prof;sint>st;van de,va"
     "n den,van der>v d,vd;van>v;verlengde>verl;vrouwe>vr;westzijde>w z,wz;zuidzijde>z z,zz;zust"
     "er>zr;~gracht>gr;~laan>ln;~markt>mkt;~plein>pln;~singel>sngl;~steenweg>stwg;~straat>str;~v"
     "liet>vlt;~weg>wg")},
    {"no",
     SX_STR_INIT(
     "gata,gate,gaten>g,gt;plass,plassen>pl;sving,svingen>sv;~veg,~vei>v,veg,vei;~vegen,~veien>v"
     "egen,veien,vn")},
    {"pl",
     SX_STR_INIT(
     "admirał,admirała>adm;alei,aleja,alejach,aleje,aleją>al;batalion,batalionu,bataliony,batali"
     "onów>bat;biskup,biskupa>bp,bpa;bulwar>bulw;błogosławieni,błogosławiona,błogosławionego,bło"
     "gosławionej,błogosławiony,błogosławionych>bł;chorążego,chorąży>chor;doktor,doktora>dr;doln"
     "a,dolne,dolny>dln;druga,drugi,drugie>2,ii;duża,duże,duży>dz,dż;generał,generała>gen;górna,"
     "górne,górny>grn;hrabia,hrabiego,hrabina,hrabiny>hr;kapitan,kapitana>kpt;kapral,kaprala>kpr"
     ";kardynał,kardynała>kard;kolo,koło>k;kolonia>kol;kontradmirał,kontradmirała>kontradm;ksiąd"
     "z,książe,księcia,księdza>ks;major,majora>mjr;marszałek,marszałka>marsz;mazowiecka,mazowiec"
     "ki,mazowieckie>maz;mała,małe,mały>ml,mł;miasto>m;nowa,nowe,nowy>n,nw;ojców>oo;osiedle,osie"
     "dlu>os;pierwsza,pierwsze,pierwszy>1,i;plac,placem,placu>pl;plutonowego,plutonowy>plut;podp"
     "orucznik,podporucznika>ppor;podpułkownik,podpułkownika>ppłk;porucznik,porucznika>por;profe"
     "sor,profesora>prof;pułkownik,pułkownika>płk;rotmistrz,rotmistrza>rotm;stara,stare,stary>st"
     ",str;szeregowego>szer;szkoła podstawowa>sp;trzeci,trzecia,trzecie>3,iii;ulica,ulice,ulicy,"
     "ulicą>ul;wiceadmirał,wiceadmirała>wadm;wielka,wielki,wielkie>wlk;wielkopolska,wielkopolski"
     ",wielkopolskie>wlkp;województwie,województwo>woj;wybrzeża,wybrzeże,wybrzeżem>wyb;święci,św"
     "iętych>św,śś;święta,świętego,świętej,święty>św")},
    {"pt",
     SX_STR_INIT(
     "alameda>al;alferes>alf;almirante>alm;arquitecto,arquiteto>arq,arqo;associação>ass;auto-est"
     "rada>a;avenida>av,ava;azinhaga>az;bairro>b,bo,br;beco>bc,bco;bloco>bl;bombeiros voluntário"
     "s>b-v,bv;brigadeiro>brg;cacique>cac;calçada>cc;calçadinha>ccnh;caminho>cam;capitão>cap;cas"
     "al>csl;cave>cv;centro comercial>c-c,cc;ciclo do ensino básico>c e b,c-e-b,ceb;comandante>c"
     "mdt;comendador>comend;companhia>ca;conselheiro>cons;coronel>cel,cor;corte>c-te;câmara muni"
     "cipal>c-m,cm;de>d-;departamento>dept;deputado>dep;direito>dto;dom>d;dona>d,da;doutor>dr;do"
     "utora>dr,dra;duque>dq;edifício>ed,edf;embaixador>emb;empresa pública>e-p,ep;enfermeiro>enf"
     ",enfo;engenheira>eng,enga;engenheiro>eng,engo;escadas>esc;escadinhas>escnh;escola básica>e"
     "-b,eb;esquerdo>esq;estação de tratamento de águas residuais>e-t-a-r,etar;estrada municipal"
     ">em;estrada nacional>en;estrada regional>er;estrada>estr;frei>fr;frente>ft;futebol clube>f"
     "-c,fc;general>gal,gen;guarda nacional republicana>g-n-r,gnr;habitação>hab;infante>inf;inst"
     "ituto>inst;irmã>im,ima;irmão>im,imo;itinerário complementar>ic;itinerário principal>ip;jar"
     "dim>jrd;júnior>jr;largo>lg;limitada>lda;loja>lj;lote>lt;loteamento>loteam;lugar>lg,lug;mad"
     "re,mestre>me;maestro>mto;major>maj;marechal>mal;marquês>mq;ministério>min;monsenhor>mons;m"
     "unicipal>m;nacional,nosso>n;nossa senhora>ns;nossa>n,na;número>n,no;padre>pe;parque>pq;par"
     "ticular>part;pavilhão>pav;polícia de segurança pública>p-s-p,psp;polícia judiciária>p-j,pj"
     ";praceta>pct,pcta;praça>pc,pr,pç;presidente>presid;primeiro>1o;professor>prof;professora>p"
     "rof,profa;projectada,projetada>proj;prolongamento>prolng;pátio>pto;quadra>q,qd;quinta>qta;"
     "regional,rio,rua>r;ribeira>ra,rib,riba;rotunda>rot;rés-do-chão>r-c,rc;santa>sta;santo>st,s"
     "to;sargento>sarg;sem número>s-n,sn;senhor>s,sr;senhora>s,s-ra,sa,sr-a,sra;sobre-loja>slj;s"
     "ociedade anónima>s-a,sa;sociedade>soc;sport clube>s-c,sc;sub-cave>scv;superquadra>sq;são>s"
     ";tenente>ten;torre>tr;transversal>transv;travessa>trav,trv,tv;universidade>univ;urbanizaçã"
     "o>urb;vila>vl;visconde>visc;vivenda>vv;zona>zn")},
    {"ro",
     SX_STR_INIT(
     "aleea>al,ale;bulevardul>b-dul,bd,bdul,blv,blvd,bul,bulev,bulevard;calea>cal;fundacul>fdc;f"
     "undătura>fnd;intrarea>int,intr;muntele>m-te,m-tele,mnt,mt;piața>p-ța,pța;splaiul>sp,spl,sp"
     "laiul;strada>str,stra;stradela>sdla,str-la;vârful>varf,vf,virf,virful;șoseaua>sos")},
    {"ru",
     SX_STR_INIT(
     "академик,академика>ак;акционерное общество>ао;аллея>ал;архипелаг>арх;атомная электростанци"
     "я>аэс;аэродром>аэрд;аэропорт>аэрп;башкирская,башкирские,башкирский,башкирское>баш,башк,баш"
     "кир;белая,белое белые,белый>бел;болото>бол;больница>больн;большая,большие,большое,большой>"
     "б,бол;брод>бр;бульвар>бул;бухта>бух;бывшая,бывшее,бывшие,бывший>бывш;великая,великие,велик"
     "ий,великое>вел;верхнее,верхние,верхний,верхняя>в,верх;водокачка>вдкч;водопад>вдп;водохрани"
     "лище>вдхр;вокзал>вкз,вокз;восточная,восточное,восточные,восточный>в,вост;вулкан>влк;гидроэ"
     "лектростанция>гэс;гора,город>г;дворец культуры,дом культуры>дк;дворец спорта>дс;деревня>д,"
     "дер;детский оздоровительный лагерь>дол;дом отдыха>д о;дом>д;железная дорога>ж д;железнодор"
     "ожная,железнодорожное,железнодорожный>ж-д;железобетонных изделий>жби;жилой комплекс>жк;зав"
     "од>з-д;закрытое административно-территориальное образование>зато;залив>зал;западная,западн"
     "ое,западные,западный>з,зап,запад;заповедник>запов;имени>им;институт>инст;исправительная ко"
     "лония>ик;километр>км;красная,красное,красные,красный>кр,крас;лагерь>лаг;левая,левое,левые,"
     "левый>л,лев;ледник>ледн;лесная,лесное,лесной>лес;лесничество>леснич;линия электропередачи>"
     "лэп;малая,малое,малые,малый>м,мал;мордовская,мордовские,мордовский,мордовское>мордов;морск"
     "ая,морское,морской>мор;московская,московские,московский,московское>мос,моск;мыс>м;набережн"
     "ая>наб;нижнее,нижние,нижний,нижняя>н,ниж;новая,новое,новые,новый>н,нов;обгонный пункт>обг "
     "п;область>обл;озеро>оз;особо охраняемая природная территория>оопт;остановочный пункт>о п;о"
     "стров>о;острова>о-ва;парк культуры и отдыха>пкио;перевал,переулок>пер;пещера>пещ;пионерски"
     "й лагерь>пионерлаг;платформа>пл,платф;площадь>пл;подсобное хозяйство>подсоб хоз;полуостров"
     ">п-ов;посёлок городского типа>п г т,пгт;посёлок>п,пос;правая,правое,правые,правый>п,пр,пра"
     "в;проезд,пруд>пр;проспект>просп;пустыня>пуст;разъезд>рзд;район>р-н;резинотехнических издел"
     "ий>рти;река>р;речная,речное,речной>реч,речн;российская,российские,российский,российское>ро"
     "с;русская,русские,русский,русское>рус,русск;ручей>руч;садовое некоммерческое товарищество>"
     "снт;садовые участки>сад уч;санаторий>сан;сарай>сар;северная,северное,северные,северный>с,с"
     "ев;село>с;сибирская,сибирские,сибирский,сибирское>сиб;советская,советские,советский,советс"
     "кое>сов;совхоз>свх;сортировочная,сортировочное,сортировочные,сортировочный>сорт;среднее,ср"
     "едние,старая,старый>ср;станция>ст;татарская,татарские,татарский,татарское>тат,татар;теплоэ"
     "лекстростанция>тэс;теплоэлектроцентраль>тэц;техникум>техн;тоннель,туннель>тун;тупик>туп;ул"
     "ица>ул;уральская,уральские,уральский,уральское>ур,урал;урочище>ур;хозяйство>хоз,хоз-во;хре"
     "бет>хр;хутор>хут;чувашская,чувашские,чувашский,чувашское>чуваш;чёрная,чёрное,чёрные,чёрный"
     ">черн;шахта>шах;школа>шк;шоссе>ш;элеватор>элев;южная,южное,южные,южный>ю,юж,южн")},
    {"sk",
     SX_STR_INIT(
     "armádneho generála>arm gen;doktora,doktorky>dr;generála>gen;inžiniera,inžinierky>ing;kapit"
     "ána>kpt;majora>mjr;nábrežie>nábr;námestie>nám;plukovníka>plk;podplukovníka>pplk;podporučík"
     "a>ppor;poručíka>por;profesora,profesorky>prof;svätej,svätého>sv;sídlisko>sídl;ulica>ul;čes"
     "koslovenskej>čsl")},
    {"sl",
     SX_STR_INIT(
     "cesta>c;gasilski dom>gd;osnovna šola>oš;prostovoljno gasilsko društvo>pgd;savinjski>savinj"
     ";slovenskih>slov;spodnja,spodnje,spodnji>sp;srednja,srednje,srednji>sr;sveta,svete,svetega"
     ",sveti>sv;ulica>ul;velika,velike,velikem,veliki,veliko>v,vel;zdravstveni dom>zd;zgornja,zg"
     "ornje,zgornji>zg;šent>št")},
    {"sv",
     SX_STR_INIT(
     "gamla>g:la;lilla>l;norra>n,n:a;sankt>s:t;sankta>s:ta;stora,~stig,~stigen>st;södra>s,s:a;vä"
     "stra>v,v:a;~gata,~gatan>g;~gränd,~gränden>gr;~plats,~platsen>pl;~väg,~vägen>v;östra>ö,ö:a")},
    {"tr",
     SX_STR_INIT(
     "bulvar>bl,blv;bulvarı>bl;cadde,caddesi>cd;mahalle>mah,mh;sokak,sokağı>sk,sok")},
    {"uk",
     SX_STR_INIT(
     "бульвар>бул;вулиця>вул;дорога>дор;площа>пл;провулок>пров;проспект>просп;шосе>ш")},
    {"vi",
     SX_STR_INIT(
     "bưu điện>bđ;cao đẳng>cđ;câu lạc bộ>clb;công trường>ct;công ty cổ phần>ctcp,cty cp;công ty>"
     "cty;công viên văn hóa>cvvh;công viên>cv;căn cứ không quân>cckq;khu công nghiệp>kcn;khu du "
     "lịch>kdl;khu nghỉ mát>knm;khách sạn>k-s,ks;nhà hát>nh;nhà thi đấu>ntđ;nhà thờ>nt;phi trườn"
     "g>pt;phường>p,ph;quảng trường>qt;quận>q;quốc lộ>ql;rạp hát>rh;sân bay quốc tế>sbqt;sân bay"
     ">sb;sân vận động>svđ;thành phố>tp;thị trấn,trung tâm>tt;thị xã>tx;tiểu học>th;trung học cơ"
     " sở>thcs;trung học phổ thông>thpt;trung tâm thương mại>tttm;tỉnh lộ>tl;tổng công ty>tct,tc"
     "ty;viện bảo tàng>vbt;vươn quốc gia>vqg;đường sắt>đs;đường>đ;đại học>đh;đại lộ>đl")},
};

#endif
